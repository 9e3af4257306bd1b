"""The resources that Ray reserves for a trial, and how often the machines hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lrstudy.spec import Resources

# The prefix of accelerator kinds among Ray's resources.
KIND: Final = "accelerator_type:"
# The request of a trial's own process where several workers train: they have all of its CPUs and GPUs in a
# placement group that is reserved as a whole. Tune does not accept an empty request; this is one byte.
BESIDE_WORKERS: Final[Mapping[str, float]] = {"memory": 1.0}


def needs(resources: Resources) -> dict[str, float]:
    """Return what Ray reserves for each worker of a trial; of a kind of accelerator, a nominal amount."""
    amounts = {"CPU": float(resources.cpus), "GPU": float(resources.gpus)}
    return amounts | ({KIND + resources.accelerator: 0.001} if resources.accelerator else {})


def exclusive_request(request: Mapping[str, float], nodes: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return a trial's resources, enlarged so that no other trial fits beside it.

    They become whole GPUs and all CPUs of a node. ``nodes`` are Ray's; the node with the most CPUs among
    those that can hold the trial decides.
    """
    gpus = math.ceil(request.get("GPU", 0.0))
    enlarged = dict(request)
    if gpus:
        enlarged["GPU"] = gpus
    able = [each for each in _alive(nodes) if _holds(enlarged, each)]
    enlarged["CPU"] = max((each["CPU"] for each in able), default=request["CPU"])
    return enlarged


def worker_count(request: Mapping[str, float], nodes: Iterable[Mapping[str, Any]]) -> int:
    """Return the number of such requests that all nodes can hold at once. ``nodes`` are Ray's."""
    return sum(slots(request, each) for each in _alive(nodes))


def slots(request: Mapping[str, float], available: Mapping[str, float]) -> int:
    """Return the number of such requests that one machine with these resources can hold at once."""
    needed = {name: amount for name, amount in request.items() if amount > 0}
    return int(min(available.get(name, 0.0) / amount for name, amount in needed.items()))


def _alive(nodes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, float]]:
    return [node["Resources"] for node in nodes if node["Alive"]]


def _holds(request: Mapping[str, float], available: Mapping[str, float]) -> bool:
    return all(available.get(name, 0.0) >= least for name, least in request.items())
