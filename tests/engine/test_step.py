"""A captured step trains as the plain one does, bit by bit (a tape stands in for a GPU's graph)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import graph_tape
import pytest
import torch
from torch import nn

from lrstudy.engine import captured_step as captured
from lrstudy.engine.captured_step import CapturedStep
from lrstudy.engine.plain_step import PlainStep
from lrstudy.engine.step import Step, choose_step
from lrstudy.tasks.precision import Precision

SIZES = [8, 8, 8, 3, 8, 8, 8, 8, 3, 8, 8]  # the odd ones end an epoch
MOMENTUM: dict[str, Any] = {"lr": 0.1, "momentum": 0.9}


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    captured._kept.clear()
    yield
    captured._kept.clear()


def plain(
    dropout: float = 0.2, device: str = "cpu", dtype: torch.dtype = torch.float32, **options: Any
) -> PlainStep:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(dropout), nn.Linear(7, 3)
    ).to(device, dtype)
    decayed = [{"params": model[0].parameters(), "weight_decay": 0.01}, {"params": model[4].parameters()}]
    optimizer = torch.optim.SGD(decayed, **(options or MOMENTUM))
    return PlainStep(model, nn.CrossEntropyLoss(), Precision(dtype, False, False, device), optimizer)


def on_tape(step: PlainStep, key: str | None = None, capture: Any = graph_tape.capture) -> CapturedStep:
    return CapturedStep(step, key, capture, lambda compute: compute())


def train(
    step: Step,
    inner: PlainStep,
    change: Callable[[int, dict[str, Any]], object] = lambda step, group: None,
    sizes: list[int] = SIZES,
) -> list[torch.Tensor]:
    """What a training shows: every loss, all outputs and gradients, and the state of all at its end."""
    data = torch.Generator().manual_seed(1)
    torch.manual_seed(2)
    parameter = next(inner.model.parameters())
    seen = []
    for number, size in enumerate(sizes):
        inputs = torch.randn(size, 5, generator=data).to(parameter)
        targets = torch.randint(3, (size,), generator=data).to(parameter.device)
        for group in inner.optimizer.param_groups:
            change(number, group)
        seen += step(inputs, targets)
        seen += [p.grad.clone() for p in inner.model.parameters() if p.grad is not None]
    return [*seen, *state_of(inner)]


def state_of(inner: PlainStep) -> list[torch.Tensor]:
    buffers = [
        inner.optimizer.state[p].get("momentum_buffer")
        for g in inner.optimizer.param_groups
        for p in g["params"]
    ]
    return [t.clone() for t in [*inner.model.state_dict().values(), *buffers] if t is not None]


def assert_same(ones: list[torch.Tensor], others: list[torch.Tensor], rtol: float = 0.0) -> None:
    for one, other in zip(ones, others, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=rtol)


def change_rate(step: int, group: dict[str, Any]) -> None:
    group["lr"] = 0.1 / (1 + step)


def change_both(step: int, group: dict[str, Any]) -> None:
    group["lr"], group["momentum"] = 0.1 / (1 + step), 0.9 - 0.03 * step


OPTIONS: list[dict[str, Any]] = [
    {"lr": 0.1},
    MOMENTUM,
    {**MOMENTUM, "dampening": 0.9},
    {**MOMENTUM, "nesterov": True},
    {"lr": 0.1, "weight_decay": 0.001},
    {**MOMENTUM, "weight_decay": 0.001, "dampening": 0.5},
]


@pytest.mark.parametrize("change", [lambda *_: None, change_rate, change_both])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_captured_step_trains_as_the_plain_one(options: dict[str, Any], change: Any) -> None:
    if change is change_both and "momentum" not in options:
        change = change_rate
    inner = plain(**options)
    wanted = train(inner, inner, change)
    inner = plain(**options)
    step = on_tape(inner)
    assert_same(train(step, inner, change), wanted)
    assert step.note is None


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_in_float64_a_product_is_rounded_by_itself(options: dict[str, Any]) -> None:
    inner = plain(dtype=torch.float64, **options)
    wanted = train(inner, inner, change_rate)
    inner = plain(dtype=torch.float64, **options)
    assert_same(train(on_tape(inner), inner, change_rate), wanted, rtol=1e-9)


def test_the_capture_holds_the_update_and_the_optimizer_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner = plain()
    step = on_tape(inner)
    train(step, inner, sizes=[8, 8, 8])
    monkeypatch.setattr(inner.optimizer, "step", lambda: pytest.fail("called"))
    before = [p.detach().clone() for p in inner.model.parameters()]
    train(step, inner, sizes=[8, 8])
    assert not torch.equal(before[-1], list(inner.model.parameters())[-1])


def test_another_optimizer_is_called_after_the_captured_gradient() -> None:
    found = []
    for wrap in (lambda inner: inner, on_tape):
        inner = plain()
        inner.optimizer = torch.optim.Adam(inner.model.parameters(), lr=0.01)
        found.append(train(wrap(inner), inner, change_rate))
    assert_same(*found)


def test_a_step_hook_sees_every_step() -> None:
    found, norms = [], []
    for wrap in (lambda inner: inner, on_tape):
        inner, seen = plain(), []
        weight = next(inner.model.parameters())
        inner.optimizer.register_step_post_hook(lambda *_, w=weight, s=seen: s.append(float(w.grad.norm())))
        found.append(train(wrap(inner), inner))
        norms.append(seen)
    assert_same(*found)
    assert norms[0] == norms[1]
    assert len(norms[0]) == len(SIZES)


@pytest.mark.parametrize("at", [6, 0])
def test_what_the_capture_cannot_follow_is_computed_call_by_call_and_told(at: int) -> None:
    def change(step: int, group: dict[str, Any]) -> None:
        group["weight_decay"] = 0.0 if step < at else 0.1
        group["momentum"] = 0.0 if step == 9 else 0.9

    inner = plain()
    wanted = train(inner, inner, change)
    inner = plain()
    step = on_tape(inner)
    assert_same(train(step, inner, change), wanted)
    assert step.note is not None
    assert "other options than rate and momentum" in step.note


def test_what_cannot_be_captured_is_computed_call_by_call_and_told() -> None:
    inner = plain()
    wanted = train(inner, inner, change_rate)
    inner = plain()
    calls = 0

    def capture(compute: Callable[[], None]) -> Callable[[], None]:
        def until_it_fails() -> None:
            compute()
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

        nonlocal calls
        calls += 1
        return graph_tape.capture(until_it_fails)

    step = on_tape(inner, capture=capture)
    assert_same(train(step, inner, change_rate), wanted)
    assert calls == 1
    assert step.note is not None
    assert step.note.endswith("call by call: operation not permitted when stream is capturing")


def test_a_model_that_reads_a_value_cannot_be_captured() -> None:
    inner = plain()
    inner.model.append(nn.Softmax(1)).register_forward_hook(
        lambda module, args, out: out * float(out.detach().sum())
    )
    step = on_tape(inner, "task")
    train(step, inner)
    assert "not permitted" in (step.note or "")


def test_the_graphs_results_are_the_callers_to_keep() -> None:
    step = on_tape(plain())
    kept = [step(torch.full((4, 5), float(i)), torch.zeros(4, dtype=torch.int64)) for i in range(8)]
    assert len({float(loss) for loss, _ in kept}) == len(kept)


def test_a_rate_that_stays_is_written_once() -> None:
    inner = plain()
    step = on_tape(inner)
    train(step, inner, sizes=[8] * 9)
    assert step._capture is not None
    assert step._capture.update is not None
    assert {number.tensor._version for number in step._capture.update._rates} == {1}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_next_trial_moves_in(options: dict[str, Any]) -> None:
    wanted = []
    for sizes in (SIZES, [8, 3, *SIZES]):
        inner = plain(**options)
        wanted.append(train(inner, inner, change_rate, sizes))
    captures = 0

    def capture(compute: Callable[[], None]) -> Callable[[], None]:
        nonlocal captures
        captures += 1
        return graph_tape.capture(compute)

    for sizes, right in zip((SIZES, [8, 3, *SIZES], SIZES), (*wanted, wanted[0]), strict=True):
        inner = plain(**options)
        step = on_tape(inner, "task", capture)
        assert_same(train(step, inner, change_rate, sizes), right)
        step.close(keep=True)
    assert captures == 1


def test_torchs_schedulers_do_not_warn_of_an_optimizer_that_is_never_called() -> None:
    for _ in range(2):
        inner = plain()
        scheduler = torch.optim.lr_scheduler.StepLR(inner.optimizer, 1)
        step = on_tape(inner, "task")
        train(step, inner, sizes=[8] * 5)
        scheduler.step()
        step.close(keep=True)


def test_two_trials_at_once_do_not_share() -> None:
    first = plain()
    wanted = train(first, first)
    steps = [(on_tape(inner, "task"), inner) for inner in (plain(), plain(), plain())]
    assert_same(train(*steps[0]), wanted)
    steps[0][0].close(keep=True)
    assert_same(train(*steps[1]), wanted)  # has the first one's capture
    before = state_of(steps[1][1])
    train(*steps[2], change_rate)  # finds none
    assert_same(state_of(steps[1][1]), before)


@pytest.mark.parametrize("step", ["eager", "captured"])
def test_without_a_gpu_the_step_is_plain_and_says_so_if_asked_otherwise(step: str) -> None:
    built = choose_step(step, plain(), torch.device("cpu"), None)
    assert isinstance(built, PlainStep)
    assert (built.note is None) == (step == "eager")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_on_a_gpu_the_graph_trains_as_the_plain_step(options: dict[str, Any]) -> None:
    found = []
    for how in ("eager", "captured", "captured"):
        inner = plain(dropout=0.0, device="cuda", **options)
        step = choose_step(how, inner, torch.device("cuda"), "task")
        found.append(train(step, inner, change_rate))
        step.close(keep=True)
        assert step.note is None
    for others in found[1:]:
        for one, other in zip(others, found[0], strict=True):
            torch.testing.assert_close(one, other)
