"""A configuration counts as its trials do together: without those that failed, lost where one diverged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from lrstudy.records import Status
from lrstudy.rules.configurations import Configuration, configuration, rank
from lrstudy.rules.metrics import METRICS


@dataclass(frozen=True)
class Ran:
    trial_id: str = "fixed-tune-000"
    status: Status = Status.COMPLETED
    params: dict[str, Any] = field(default_factory=lambda: {"lr": 0.1})
    evaluations_run: int = 5
    best_val: float | None = 0.9
    best_evaluation: int | None = 4
    objective: float | None = 0.9
    learned: float | None = 0.5


ONE = Ran()


def of(*trials: Ran, number: int = 0) -> Configuration[Ran]:
    return configuration(number, trials, lambda trial: trial.learned)


def test_it_is_the_mean_of_the_trials_that_did_not_fail() -> None:
    failed = replace(
        ONE, status=Status.FAILED, objective=None, best_val=None, learned=None, evaluations_run=1
    )
    two = of(ONE, failed, replace(ONE, objective=0.7, best_val=0.8, best_evaluation=2, learned=0.3))
    assert (two.objective, two.best_val, two.best_evaluation, two.learned) == (
        0.8,
        0.8500000000000001,
        3,
        0.4,
    )
    assert (two.evaluations_run, two.failed, len(two.trials)) == (5, False, 2)


def test_a_seed_that_diverged_leaves_no_objective() -> None:
    lost = replace(
        ONE, status=Status.DIVERGED, objective=None, best_evaluation=None, evaluations_run=2, learned=None
    )
    both = of(ONE, lost)
    assert (both.objective, both.learned, both.best_evaluation, both.evaluations_run) == (None, None, 2, 3.5)
    assert not both.failed


def test_one_whose_every_trial_failed_keeps_its_hyperparameters() -> None:
    failed = of(replace(ONE, status=Status.FAILED, objective=None, learned=None))
    assert failed.failed
    assert (failed.objective, failed.params) == (None, {"lr": 0.1})


def test_the_better_objective_ranks_first_then_fewer_epochs_then_the_earlier_suggestion() -> None:
    worse = of(replace(ONE, objective=0.8, best_evaluation=1))
    fast, slow, late = of(replace(ONE, best_evaluation=3)), of(ONE), of(ONE, number=1)
    short = of(replace(ONE, objective=None, evaluations_run=2))
    long = of(replace(ONE, objective=None, evaluations_run=4), number=2)
    wanted = [fast, slow, late, worse, long, short]
    assert (
        sorted([short, late, worse, long, slow, fast], key=lambda one: rank(one, METRICS["val_accuracy"]))
        == wanted
    )
    assert min([fast, worse], key=lambda one: rank(one, METRICS["val_loss"])) is worse
