"""The random states that a user's training draws from: of Python, numpy and torch, and of a loader."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import Any

import torch

State = dict[str, Any]


def seed_all(seed: int) -> None:
    """Set the global random states of Python, numpy and torch."""
    random.seed(seed)
    torch.manual_seed(seed)  # all devices
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed)


def save_random(generators: Mapping[str, torch.Generator] | None = None) -> State:
    """Return the global states and those of ``generators``, as tensors and plain data."""
    version, words, gauss = random.getstate()
    state: State = {
        "python": [version, torch.tensor(words, dtype=torch.int64), gauss],
        "torch": torch.get_rng_state(),
        "generators": {name: generator.get_state() for name, generator in (generators or {}).items()},
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    if (numpy := sys.modules.get("numpy")) is not None:
        name, keys, position, has_gauss, cached = numpy.random.get_state()
        state["numpy"] = [name, torch.from_numpy(keys.astype("int64")), position, has_gauss, cached]
    return state


def load_random(state: Mapping[str, Any], generators: Mapping[str, torch.Generator] | None = None) -> None:
    """Restore what ``save_random`` returned."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"].cpu())
    if "numpy" in state:
        import numpy

        name, keys, position, has_gauss, cached = state["numpy"]
        words = keys.numpy().astype("uint32")
        numpy.random.set_state((name, words, position, has_gauss, cached))  # noqa: NPY002 - users draw there
    load_generators(state, generators or {})


def load_generators(state: Mapping[str, Any], generators: Mapping[str, torch.Generator]) -> None:
    """Restore a loader's generators alone."""
    for name, generator in generators.items():
        if name in state["generators"]:
            generator.set_state(state["generators"][name].cpu())


def generators_of(loader: object) -> dict[str, torch.Generator]:
    """Return the generators that a ``DataLoader`` and its samplers draw the order of the data from."""
    found: dict[str, torch.Generator] = {}
    for name, owner in {"loader": loader, **samplers_of(loader)}.items():
        generator = getattr(owner, "generator", None)
        if isinstance(generator, torch.Generator) and not any(generator is each for each in found.values()):
            found[name] = generator
    return found


def samplers_of(loader: object) -> dict[str, object]:
    """Return the samplers of a ``DataLoader`` by attribute; no sampler twice."""
    found: dict[str, object] = {}
    for name in ("sampler", "batch_sampler"):
        owner = getattr(loader, name, None)
        for key, sampler in ((name, owner), (f"{name}.sampler", getattr(owner, "sampler", None))):
            if sampler is not None and not any(sampler is each for each in found.values()):
                found[key] = sampler
    return found
