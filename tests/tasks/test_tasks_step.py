"""A captured step trains as the plain one does, batch by batch and bit by bit.

There is no GPU here: what stands in for a captured graph keeps its promise, and no other. It computes
nothing when it is made, reads its inputs where they lay, and leaves its results where they lay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lrstudy.tasks.precision import Precision
from lrstudy.tasks.step import CapturedGradient, Gradient, PlainGradient, build_gradient

SIZES = [8, 8, 8, 3, 8, 8, 8, 8, 3, 8, 8]  # the odd ones end an epoch


def network(dropout: float = 0.2) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(dropout), nn.Linear(7, 3))


def plain(model: nn.Module) -> PlainGradient:
    return PlainGradient(model, nn.CrossEntropyLoss(), Precision(torch.float32, False, False, "cpu"))


def graph_of(gradient: PlainGradient, found: Callable[[], Any]) -> Callable[..., Callable[[], None]]:
    """A stand-in for a CUDA graph of what it is given."""
    model = gradient.model

    def capture(compute: Callable[[], None]) -> Callable[[], None]:
        state, rng = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
        compute()
        model.load_state_dict(state)
        torch.set_rng_state(rng)
        fixed = [p.grad for p in model.parameters()], found()

        def replay() -> None:
            compute()
            results = [p.grad for p in model.parameters()], found()
            for old, new in zip((*fixed[0], *fixed[1]), (*results[0], *results[1]), strict=True):
                assert old is not None
                assert new is not None
                old.copy_(new)
            for parameter in model.parameters():
                parameter.grad = torch.full_like(parameter, torch.nan)  # only the graph's own may be used

        return replay

    return capture


def train(model: nn.Module, gradient: Gradient, device: str = "cpu") -> list[torch.Tensor]:
    """What a training shows: every loss, all outputs, and the model at its end."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    data = torch.Generator().manual_seed(1)
    torch.manual_seed(2)
    seen = []
    for size in SIZES:
        inputs = torch.randn(size, 5, generator=data)
        targets = torch.randint(3, (size,), generator=data)
        loss, outputs = gradient(inputs.to(device), targets.to(device))
        optimizer.step()
        seen += [loss, outputs]
    return [*seen, *model.state_dict().values()]


def test_a_captured_step_trains_as_the_plain_one() -> None:
    model = network()
    wanted = train(model, plain(model))
    model = network()
    inner = plain(model)
    captured: CapturedGradient
    calls = 0

    def capture(compute: Callable[[], None]) -> Callable[[], None]:
        nonlocal calls
        calls += 1
        return graph_of(inner, lambda: captured._found)(compute)

    captured = CapturedGradient(inner, capture, lambda compute: compute())
    for one, other in zip(train(model, captured), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert calls == 1
    assert captured.note is None


def test_what_cannot_be_captured_is_computed_call_by_call_and_told() -> None:
    model = network()
    wanted = train(model, plain(model))
    model = network()
    calls = 0

    def capture(compute: Callable[[], None]) -> Callable[[], None]:
        nonlocal calls
        calls += 1
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    captured = CapturedGradient(plain(model), capture, lambda compute: compute())
    for one, other in zip(train(model, captured), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert calls == 1
    assert captured.note is not None
    assert captured.note.endswith("call by call: operation not permitted when stream is capturing")


def test_the_graphs_results_are_the_callers_to_keep() -> None:
    model = network()
    inner = plain(model)
    captured = CapturedGradient(
        inner, lambda compute: graph_of(inner, lambda: captured._found)(compute), lambda compute: compute()
    )
    kept = [captured(torch.full((4, 5), float(i)), torch.zeros(4, dtype=torch.int64)) for i in range(8)]
    assert len({float(loss) for loss, _ in kept}) == len(kept)


@pytest.mark.parametrize("step", ["eager", "captured"])
def test_without_a_gpu_the_step_is_plain_and_says_so_if_asked_otherwise(step: str) -> None:
    model = network()
    precision = Precision(torch.float32, False, False, "cpu")
    gradient = build_gradient(step, model, nn.CrossEntropyLoss(), precision, torch.device("cpu"))
    assert isinstance(gradient, PlainGradient)
    assert (gradient.note is None) == (step == "eager")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_graph_trains_as_the_plain_step() -> None:
    found = []
    for step in ("eager", "captured"):
        model = network(dropout=0.0).cuda()
        precision = Precision(torch.float32, False, False, "cuda")
        gradient = build_gradient(step, model, nn.CrossEntropyLoss(), precision, torch.device("cuda"))
        found.append(train(model, gradient, "cuda"))
        assert gradient.note is None
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
