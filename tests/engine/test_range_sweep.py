"""The sweep itself: rates as planned, repeatable, ends when the loss does, counts what it cost."""

from __future__ import annotations

import io
import itertools
import math
from typing import Any

import pytest
import torch

from lrstudy.engine.sweep import Sweep, plan_sweep, run_range_test
from lrstudy.errors import InputError
from lrstudy.records import Phase, Status
from lrstudy.rules.seeding import derive_seed
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, load_data

CPU = torch.device("cpu")


def study(**changes: Any) -> Study:
    task = {"dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": 8, **changes}
    return parse_study({"name": "s", "task": task, "schedules": {"fixed": {"lr": 0.1}}}, "test")


SPEC = study()
DATA = load_data(SPEC.task, 0, None)


def swept(spec: Study = SPEC, data: TaskData = DATA, seed: int = 1, **plan: Any) -> Sweep:
    sweep = Sweep(spec, data, plan_sweep(spec, data, **plan), seed, CPU)
    sweep.records = list(sweep.run())  # type: ignore[attr-defined]
    return sweep


def test_the_rate_rises_by_an_equal_factor_from_low_to_high() -> None:
    plan = plan_sweep(SPEC, DATA, low=1e-4, high=1e-1, epochs=3)
    sweep = swept(low=1e-4, high=1e-1, epochs=3)
    rates = sweep.curve.rates
    assert plan.steps == len(rates) == len(sweep.curve.losses)
    assert (rates[0], rates[-1]) == (1e-4, 1e-1)
    factor = 1000 ** (1 / (plan.steps - 1))
    assert all(b / a == pytest.approx(factor) for a, b in itertools.pairwise(rates))
    straight = swept(low=0.1, high=0.3, epochs=1, linear=True).curve.rates
    assert straight[len(straight) // 2] == pytest.approx(0.2, abs=0.2 / len(straight))


def test_the_same_seed_gives_the_same_curve() -> None:
    assert swept().curve == swept().curve
    assert swept().curve.losses != swept(seed=2).curve.losses


def test_its_rows_count_what_it_cost() -> None:
    sweep = swept(low=1e-4, high=1e-2, epochs=2)
    rows = sweep.records  # type: ignore[attr-defined]
    assert [row.epoch for row in rows] == [1, 2]
    assert rows[-1].step == len(sweep.curve.rates)
    assert rows[-1].samples == 2 * len(DATA.train.targets)
    assert rows[0].lr_min == 1e-4 < rows[0].lr < rows[0].lr_max < rows[1].lr_min < rows[1].lr_max
    assert len(sweep.curve.checks) == 4
    assert rows[-1].val_accuracy == sweep.curve.checks[-1][1]


def test_it_ends_soon_after_the_loss_has_left() -> None:
    sweep = swept(low=1e-3, high=1e6, epochs=8)
    assert sweep.finished
    assert sweep.curve.ended is not None
    assert len(sweep.curve.rates) < plan_sweep(SPEC, DATA, epochs=8).steps
    outcome = sweep.outcome()
    assert outcome.status is Status.COMPLETED
    assert outcome.evaluations == sweep.epoch
    assert 1e-3 < outcome.found["min_lr"] < outcome.found["max_lr"] < 1e4


def test_bounds_are_where_this_task_trains() -> None:
    """A fixed rate at the suggested maximum trains; at twenty times it, it does not do better."""
    bounds = swept(high=1e4).curve.bounds()
    assert bounds.usable

    def final_loss(rate: float) -> float:
        return swept(low=rate, high=rate * 1.001, epochs=3).curve.losses[-1]

    assert final_loss(bounds.high) < final_loss(bounds.low)
    assert final_loss(bounds.high) < final_loss(20 * bounds.high)


def test_without_a_suggestion_the_whole_sweep_is_the_range() -> None:
    outcome = swept(low=1e-9, high=1e-8).outcome()
    assert outcome.found == {
        "min_lr": 1e-9,
        "max_lr": 1e-8,
        "fallback": "the loss never fell clearly below its first level",
    }


def test_a_length_of_0_makes_two_hundred_steps_within_a_trial_s_epochs() -> None:
    per_epoch = plan_sweep(SPEC, DATA, epochs=1).steps
    assert plan_sweep(study(epochs=100), DATA).epochs == math.ceil(200 / per_epoch)
    assert plan_sweep(study(epochs=2), DATA).epochs == 2
    assert plan_sweep(study(batch_size=2), DATA).epochs == 2


@pytest.mark.parametrize(
    "plan", [{"low": 0.0}, {"low": math.nan}, {"high": math.inf}, {"low": 20.0}, {"epochs": -1}]
)
def test_a_sweep_that_cannot_be_is_refused(plan: dict[str, float]) -> None:
    with pytest.raises(InputError):
        plan_sweep(SPEC, DATA, **plan)  # type: ignore[arg-type]


def test_batch_norm_and_float64_work() -> None:
    spec = study(model={"name": "mlp", "widths": [8], "batch_norm": "last"}, precision="float64", epochs=2)
    assert swept(spec).curve.bounds() is not None


def test_an_epoch_that_the_loss_ends_counts_the_steps_it_took() -> None:
    sweep = swept(low=1e-3, high=1e6, epochs=8)
    steps = len(sweep.curve.rates)
    per_epoch = plan_sweep(SPEC, DATA, epochs=1).steps
    assert steps % per_epoch, "it ended within an epoch"
    rows = sweep.records  # type: ignore[attr-defined]
    assert rows[-1].step == steps
    whole = len(rows) - 1
    assert rows[-1].samples == whole * len(DATA.train.targets) + (steps - whole * per_epoch) * 64
    assert sweep.curve.checks[-1] == (sweep.curve.rates[-1], rows[-1].val_accuracy)


def test_it_continues_from_a_checkpoint_as_if_uninterrupted() -> None:
    whole = swept(low=1e-3, high=1e6, epochs=8)
    plan = plan_sweep(SPEC, DATA, low=1e-3, high=1e6, epochs=8)
    first = Sweep(SPEC, DATA, plan, 1, CPU)
    first.run_to_evaluation()
    first.run_to_evaluation()
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Sweep(SPEC, DATA, plan, 1, CPU)
    second.load_state_dict(torch.load(file, weights_only=True))
    list(second.run())
    assert second.curve == whole.curve
    assert second.outcome() == whole.outcome()


def test_in_this_process_it_runs_on_the_studys_seed_and_cores() -> None:
    threads = torch.get_num_threads()
    told, used = [], set()

    def hear(done: int, planned: int) -> None:
        told.append((done, planned))
        used.add(torch.get_num_threads())

    try:
        torch.set_num_threads(SPEC.resources.cpus + 1)
        result = run_range_test(SPEC, DATA, plan_sweep(SPEC, DATA, epochs=2), 5, CPU, hear)
        assert torch.get_num_threads() == SPEC.resources.cpus + 1
        torch.set_num_threads(SPEC.resources.cpus)
        alone = swept(epochs=2, seed=derive_seed(5, Phase.RANGE_TEST.value, 0))
    finally:
        torch.set_num_threads(threads)
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert used == {SPEC.resources.cpus}
    assert result.curve == alone.curve
    assert result.bounds == result.curve.bounds()
    assert result.seconds > 0
