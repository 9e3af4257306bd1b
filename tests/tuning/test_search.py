"""Suggestion number n depends on the seed, the schedule and fixed earlier results, and on nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from lrstudy.spec import Study, parse_study
from lrstudy.tuning.driver.extend_range import Evaluated
from lrstudy.tuning.driver.optuna_space import Coordinates
from lrstudy.tuning.driver.suggestions import Search


def study(search: str = "tpe", trials: int = 16, seed: int = 0, extend: int = 0, **schedule: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "seed": seed,
            "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 32, "epochs": 1},
            "budget": {
                "trials": trials,
                "search": search,
                **({"extend": True, "extend_trials": extend} if extend else {}),
            },
            "schedules": {"fixed": schedule or {"lr": {"low": 1e-3, "high": 1.0, "log": True}}},
        },
        "test",
    )


COORDINATES = Coordinates(study().schedules[0].space, {})


def searcher(spec: Study) -> Search:
    return Search(spec, spec.schedules[0], spec.seed)


def objective(params: dict[str, Any]) -> float:
    return -abs(math.log10(params["lr"]) + 1.0)  # best at 0.1


def play(spec: Study) -> list[dict[str, Any]]:
    search, history = searcher(spec), []
    for number in range(spec.budget.trials):
        params = search.suggest(number, history[: search.needed(number)])
        history.append(Evaluated(params, objective(params)))
    return [dict(trial.params) for trial in history]


@pytest.mark.parametrize("search", ["tpe", "random", "qmc", "grid"])
def test_the_same_study_suggests_the_same(search: str) -> None:
    assert play(study(search)) == play(study(search))


@pytest.mark.parametrize("search", ["tpe", "random", "qmc"])
def test_another_seed_suggests_otherwise(search: str) -> None:
    assert play(study(search)) != play(study(search, seed=1))


@pytest.mark.parametrize("search", ["tpe", "random", "qmc", "grid"])
def test_suggestions_stay_inside_the_space_and_differ(search: str) -> None:
    rates = [params["lr"] for params in play(study(search))]
    assert all(1e-3 <= rate <= 1.0 for rate in rates)
    assert len(set(rates)) == len(rates)


def test_tpe_waits_only_for_whole_generations() -> None:
    search = searcher(study(trials=20))
    assert [search.needed(n) for n in (0, 9, 10, 13, 14, 17, 18)] == [0, 0, 10, 10, 14, 14, 18]


def test_tpe_ignores_results_that_come_early() -> None:
    spec = study(trials=16)
    search = searcher(spec)
    startup = [Evaluated(p, objective(p)) for p in (search.suggest(n, []) for n in range(8))]
    extra = Evaluated({"lr": 0.5}, 100.0)
    fresh = searcher(spec)
    assert fresh.suggest(8, [*startup, extra]) == search.suggest(8, startup)


def test_tpe_after_a_resume_suggests_what_it_would_have() -> None:
    spec = study(trials=16)
    whole = play(spec)
    history = [Evaluated(params, objective(params)) for params in whole[:12]]
    assert searcher(spec).suggest(12, history) == whole[12]


def test_tpe_learns_from_results() -> None:
    rates = [params["lr"] for params in play(study(trials=40))]
    early = sum(abs(math.log10(rate) + 1) for rate in rates[:10]) / 10
    late = sum(abs(math.log10(rate) + 1) for rate in rates[-10:]) / 10
    assert late < early / 2


def test_a_diverged_trial_is_told_as_worse_than_any_and_a_failed_one_not_at_all() -> None:
    params = {"lr": 0.1}
    history = [Evaluated(params, 0.7), Evaluated(params, None), Evaluated(params, None, failed=True)]
    told = searcher(study())._optuna_study(RandomSampler(), COORDINATES, history).trials
    assert [trial.state for trial in told] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL]
    assert told[0].value == 0.7
    assert told[1].value is not None
    assert told[1].value < 0.7


def test_tpe_moves_away_from_where_trials_diverge() -> None:
    spec = study(trials=40)
    search, history = searcher(spec), []
    for number in range(40):
        params = search.suggest(number, history)
        diverged = params["lr"] > 0.03
        history.append(Evaluated(params, None if diverged else -abs(math.log10(params["lr"]) + 2.5)))
    late = [trial.params["lr"] for trial in history[20:]]
    assert sum(rate <= 0.03 for rate in late) > 16, "half of the space diverges"


def test_choices_of_lists_come_back_as_they_were_given() -> None:
    choices = [[0.5, 0.75], [0.33, 0.66]]
    spec = study(trials=16, kind="step", lr=0.1, milestones=choices)
    search, history = searcher(spec), []
    for number in range(16):
        params = search.suggest(number, history)
        assert list(params["milestones"]) in choices
        # From a store they come back as lists.
        history.append(Evaluated({**params, "milestones": list(params["milestones"])}, 0.5))


def test_a_schedule_without_a_space_gets_its_fixed_values() -> None:
    assert searcher(study(lr=0.25)).suggest(0, []) == {"lr": 0.25}


def test_grid_covers_both_ends() -> None:
    rates = sorted(params["lr"] for params in play(study("grid", trials=5)))
    assert rates == pytest.approx([1e-3, 10**-2.25, 10**-1.5, 10**-0.75, 1.0])


BELOW = {
    "kind": "cyclic",
    "max_lr": {"low": 1e-2, "high": 5.0, "log": True},
    "base_lr": {"low": 1e-4, "high": "max_lr", "log": True},
}


@pytest.mark.parametrize("search", ["tpe", "random", "qmc", "grid"])
def test_a_range_that_ends_at_another_parameter_stays_below_it(search: str) -> None:
    spec, history = study(search, trials=25, **BELOW), []
    asked = searcher(spec)
    for number in range(25):
        params = asked.suggest(number, history)
        assert 1e-4 <= params["base_lr"] <= params["max_lr"] <= 5.0
        history.append(Evaluated(params, -abs(math.log10(params["max_lr"]))))
    spread = [math.log(t.params["base_lr"] / 1e-4) / math.log(t.params["max_lr"] / 1e-4) for t in history]
    assert min(spread) < 0.3
    assert max(spread) > 0.7


def extended(spec: Study, best: float) -> list[float]:
    """The rates that a search with an extension tries when the best rate is ``best``."""
    asked, history = searcher(spec), []
    for number in range(spec.tune_trials(spec.schedules[0])):
        params = asked.suggest(number, history[: asked.needed(number)])
        history.append(Evaluated(params, -abs(math.log10(params["lr"] / best))))
    return [trial.params["lr"] for trial in history]


@pytest.mark.parametrize("search", ["tpe", "random", "qmc", "grid"])
def test_an_extension_goes_on_beyond_the_end_that_held_the_best_value(search: str) -> None:
    rates = extended(study(search, extend=8), best=30.0)
    assert all(1e-3 <= rate <= 1.0 for rate in rates[:16])
    assert max(rates[16:20]) > 1.0
    assert max(rates[20:]) > 10.0, "the end moves once more where the best value lies at the new one"
    assert extended(study(search, extend=8), best=30.0) == rates


@pytest.mark.parametrize("search", ["tpe", "random"])
def test_an_extension_stays_inside_a_range_whose_best_value_lies_within(search: str) -> None:
    assert all(1e-3 <= rate <= 1.0 for rate in extended(study(search, extend=8), best=0.03))


def test_an_extension_leaves_the_first_suggestions_as_they_were() -> None:
    assert extended(study(), best=30.0) == extended(study(extend=8), best=30.0)[:16]


def test_a_range_is_never_widened_beyond_what_its_parameter_allows() -> None:
    momentum = {"lr": 0.1, "gamma": {"low": 0.9, "high": 0.99}}
    spec = study(trials=8, extend=8, kind="exponential", **momentum)
    asked, history = searcher(spec), []
    for number in range(16):
        params = asked.suggest(number, history[: asked.needed(number)])
        history.append(Evaluated(params, params["gamma"]))
    assert max(trial.params["gamma"] for trial in history) > 0.99
    assert all(trial.params["gamma"] <= 1.0 for trial in history)
