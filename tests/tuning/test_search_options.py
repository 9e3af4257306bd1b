"""What a study may ask of its search, on real Ray: widening, pruning, seeds, repeatable suggestions."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from fault_studies import assert_same, run_without_ray

from lrstudy.analysis import Summary, analyse
from lrstudy.records import Phase, Status
from lrstudy.spec import Study, parse_study
from lrstudy.store import open_store
from lrstudy.tuning import prepare

pytestmark = pytest.mark.cluster

TASK = """
name = "options"
[task]
dataset = "digits"
model = "softmax-regression"
batch_size = 64
epochs = 4
"""

# The best fixed rate of this task is near 1: the space ends three decades below, where nothing is learned.
LOW = """
[budget]
trials = 6
confirm_seeds = 2
{more}
[schedules.fixed]
lr = {{ low = 1e-5, high = 1e-3, log = true }}
"""

WIDENED = LOW.format(more="extend = true\nextend_trials = 12")

PRUNED = """
[budget]
trials = 6
confirm_seeds = 2
tune_seeds = 2
pruner = "asha"
reduction = 2
[schedules.fixed]
lr = { low = 1e-3, high = 1.0, log = true }
[schedules.cyclic]
cycle_epochs = 2
max_lr = { low = 1e-2, high = 1.0, log = true }
base_lr = { low = 1e-4, high = "max_lr", log = true }
[resources]
max_concurrent = 1  # so that each run prunes the same trials
"""


def read(text: str) -> Study:
    return parse_study(tomllib.loads(TASK + text), "test")


def run(study: Study, out: Path) -> Path:
    with prepare(study, str(out)) as ready:
        ready.start(lambda: None)
        assert ready.run.done
    return out / "options"


def edges(summary: Summary) -> list[str]:
    return [warning for warning in summary.warnings if " its high" in warning or " its low" in warning]


@pytest.fixture(scope="module")
def widened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(read(WIDENED), tmp_path_factory.mktemp("widened"))


def test_a_space_that_leaves_out_the_good_rates_is_flagged_and_once_extended_it_is_not(
    widened: Path, tmp_path: Path
) -> None:
    run_without_ray(read(LOW.format(more="")), tmp_path / "narrow")
    narrow = analyse(open_store(tmp_path / "narrow"))
    wide = analyse(open_store(widened))
    (flag,) = edges(narrow)
    assert flag.startswith("fixed: hardly learned")
    assert "raise its high" in flag
    assert edges(wide) == []
    best = [summary.schedules[0].best_val.value for summary in (narrow, wide)]
    assert best[0] is not None
    assert best[1] is not None
    assert best[1] > best[0] + 0.05
    assert wide.schedules[0].tune_trials == wide.tune_budget == 18


def test_tpe_and_its_extension_suggest_the_same_one_by_one_and_two_at_once(
    widened: Path, tmp_path: Path
) -> None:
    run_without_ray(read(WIDENED), tmp_path)
    assert_same(tmp_path, widened)


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(read(PRUNED), tmp_path_factory.mktemp("pruned"))


def test_pruned_trials_end_at_a_rung_and_their_schedule_keeps_some(pruned: Path) -> None:
    records = [r for r in open_store(pruned).trial_records() if r.phase is Phase.TUNE]
    for schedule in ("fixed", "cyclic"):
        own = [r for r in records if r.schedule == schedule]
        lost = [r for r in own if r.status is Status.PRUNED]
        assert 3 <= len(lost) < len(own) == 12
        assert {r.evaluations_run for r in lost} <= {1, 2}
        assert all(r.objective is not None and r.device and r.node for r in lost)


def test_the_epochs_that_pruning_saved_are_not_counted_as_spent(pruned: Path) -> None:
    store = open_store(pruned)
    rows = store.pandas("evaluations")
    summary = analyse(store)
    for schedule in summary.schedules:
        spent = rows[(rows.schedule == schedule.name) & (rows.phase == "tune")]
        assert schedule.price.tune.epochs == len(spent) < 12 * 4
        assert schedule.pruned > 0


def test_every_configuration_runs_on_two_seeds_and_the_mean_chooses(pruned: Path) -> None:
    trials = open_store(pruned).pandas("trials")
    fixed = trials[(trials.schedule == "fixed") & (trials.phase == "tune")].sort_values("trial_id")
    assert (fixed.groupby("params")["seed"].nunique() == 2).all()
    assert fixed["params"].nunique() == 6
    means = fixed.groupby("params", sort=False)["objective"].mean()
    confirmed = trials[(trials.schedule == "fixed") & (trials.phase == "confirm")]
    assert set(confirmed.params) == {means.idxmax()}


def test_a_rate_below_another_is_so_in_every_trial(pruned: Path) -> None:
    records = [r for r in open_store(pruned).trial_records() if r.schedule == "cyclic"]
    assert all(1e-4 <= r.params["base_lr"] <= r.params["max_lr"] <= 1.0 for r in records)
    assert len({r.params["base_lr"] for r in records}) == 6


def test_resuming_a_pruned_study_prunes_what_it_would_have(pruned: Path, tmp_path: Path) -> None:
    with prepare(read(PRUNED), str(tmp_path)) as ready:
        seen: list[None] = []
        with pytest.raises(KeyboardInterrupt):
            ready.start(lambda: stop_after(seen, 9))
    assert_same(run(read(PRUNED), tmp_path), pruned)


def stop_after(seen: list[None], count: int) -> None:
    seen.append(None)
    if len(seen) == count:
        raise KeyboardInterrupt
