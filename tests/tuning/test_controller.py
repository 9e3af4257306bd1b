"""The controller hands out every trial once, in an order that depends on nothing but the study."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from trial_results import record

from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.rules.run_progress import Progress, progress_of
from lrstudy.spec import Study, parse_study
from lrstudy.tuning.driver.controller import Controller


def study(**budget: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 32, "epochs": 5},
            "budget": {"trials": 12, "confirm_seeds": 3, **budget},
            "schedules": {
                "lipschitz": {},
                "fixed": {"lr": {"low": 1e-3, "high": 1.0, "log": True}},
                "small": {"kind": "fixed", "lr": {"low": 1e-3, "high": 1e-1, "log": True}},
            },
        },
        "test",
    )


def play(
    spec: Study, concurrency: int, seed: int = 0, finished: list[TrialRecord] | None = None
) -> list[TrialRecord]:
    """Run a study with so many trials at once, finishing in random order."""
    order = random.Random(seed)
    controller, running, records = Controller(spec, finished or []), [], list(finished or [])
    while not controller.done:
        while len(running) < concurrency and (config := controller.next()) is not None:
            running.append(config)
        assert running, "nothing runs and nothing is left to start"
        records.append(record(running.pop(order.randrange(len(running)))))
        controller.complete(records[-1])
    assert not running
    return records


def test_every_trial_is_run_once() -> None:
    ids = sorted(r.trial_id for r in play(study(), 4))
    tune = [f"{name}-tune-{n:03d}" for name in ("fixed", "small") for n in range(12)]
    confirm = [f"{name}-confirm-{n:03d}" for name in ("fixed", "small", "lipschitz") for n in range(3)]
    assert ids == sorted([*tune, *confirm, "lipschitz-tune-000"])


@pytest.mark.parametrize("search", ["tpe", "random", "qmc", "grid"])
def test_order_of_answers_and_concurrency_change_nothing(search: str) -> None:
    def outcome(concurrency: int, seed: int) -> dict[str, tuple[dict[str, object], int]]:
        return {r.trial_id: (r.params, r.seed) for r in play(study(search=search), concurrency, seed)}

    first = outcome(1, 0)
    assert all(outcome(concurrency, seed) == first for concurrency in (2, 7, 100) for seed in (1, 2))


def test_confirm_trials_carry_the_winner_and_seeds_paired_over_schedules() -> None:
    records = play(study(), 3)
    seeds: dict[str, list[int]] = {}
    for name in ("fixed", "small", "lipschitz"):
        tuned = [r for r in records if r.schedule == name and r.phase is Phase.TUNE]
        confirms = sorted(
            (r for r in records if r.schedule == name and r.phase is Phase.CONFIRM), key=lambda r: r.trial_id
        )
        best = max(tuned, key=lambda r: r.best_val or 0.0)
        assert all(r.params == best.params for r in confirms)
        seeds[name] = [r.seed for r in confirms]
    assert seeds["fixed"] == seeds["small"] == seeds["lipschitz"]
    assert not set(seeds["fixed"]) & {r.seed for r in records if r.phase is Phase.TUNE}, "fresh seeds"


@pytest.mark.parametrize("kept", [0, 1, 7, 20, 33, 34])
def test_a_resume_runs_what_is_missing_and_nothing_else(kept: int) -> None:
    whole = play(study(), 2)
    resumed = play(study(), 3, seed=9, finished=whole[:kept])
    assert len({r.trial_id for r in resumed}) == len(resumed) == len(whole)
    assert {r.trial_id: r.params for r in resumed} == {r.trial_id: r.params for r in whole}


def test_among_equals_the_faster_trial_wins() -> None:
    controller = Controller(study(trials=2))
    configs = [
        config for _ in range(5) if (config := controller.next()) is not None and config.schedule == "fixed"
    ]
    for config, epoch in zip(configs, (4, 2), strict=True):
        controller.complete(record(config, objective=0.9, best_val=0.9, best_evaluation=epoch))
    winner = controller.winner("fixed")
    assert winner is not None
    assert winner.number == 1


def test_a_schedule_whose_every_trial_failed_is_not_confirmed_and_the_study_ends() -> None:
    controller = Controller(study())
    while (config := controller.next()) is not None or not controller.done:
        assert config is not None
        failed = config.schedule == "small"
        changes: dict[str, Any] = (
            {"status": Status.FAILED, "objective": None, "error": "boom"} if failed else {}
        )
        controller.complete(record(config, **changes))
    assert controller.winner("small") is None
    assert controller.progress("small").phases[Phase.CONFIRM] == (0, 0)
    assert len(controller.failures()) == 12


def test_a_schedule_whose_every_trial_diverged_is_confirmed_with_the_one_that_lasted() -> None:
    controller = Controller(study())
    lasted = {f"small-tune-{n:03d}": 1 + n % 4 for n in range(12)}
    while (config := controller.next()) is not None:
        if config.schedule == "small":
            epochs = lasted.get(config.trial_id, 1)
            controller.complete(
                record(config, status=Status.DIVERGED, objective=None, evaluations_run=epochs)
            )
        else:
            controller.complete(record(config))
    winner = controller.winner("small")
    assert winner is not None
    assert winner.number == 3
    assert controller.done


def test_on_two_seeds_the_better_mean_wins_and_not_the_luckiest_trial() -> None:
    controller = Controller(study(trials=2, tune_seeds=2))
    values = {0: 0.99, 1: 0.1, 2: 0.7, 3: 0.6}  # two trials of each configuration
    seen: list[TrialConfig] = []
    while (config := controller.next()) is not None:
        value = values[int(config.trial_id[-3:])]
        controller.complete(record(config, objective=value, best_val=value))
        if config.schedule == "fixed" and config.phase is Phase.TUNE:
            seen.append(config)
    seen.sort(key=lambda config: config.trial_id)
    assert [seen[0].params, seen[2].params] == [seen[1].params, seen[3].params]
    assert seen[0].params != seen[2].params
    assert [config.seed for config in seen[:2]] == [config.seed for config in seen[2:]]
    assert seen[0].seed != seen[1].seed
    winner = controller.winner("fixed")
    assert winner is not None
    assert winner.params == seen[2].params
    assert winner.objective == pytest.approx(0.65)


@pytest.mark.parametrize("budget", [{"tune_seeds": 3}, {"extend": True, "extend_trials": 5, "tune_seeds": 2}])
def test_seeds_and_an_extension_are_part_of_every_searched_schedules_budget(budget: dict[str, Any]) -> None:
    records = play(study(trials=4, **budget), 3)
    configurations = 4 + budget.get("extend_trials", 0)
    for name, planned in (("fixed", configurations), ("small", configurations), ("lipschitz", 1)):
        tuned = [r for r in records if r.schedule == name and r.phase is Phase.TUNE]
        assert len(tuned) == planned * (budget["tune_seeds"] if name != "lipschitz" else 1)
        assert len({str(r.params) for r in tuned}) == planned


def test_the_driver_and_a_reader_of_the_store_count_the_same() -> None:
    spec = study(trials=4)
    controller, records = Controller(spec), []
    planned = {schedule.name: spec.planned(schedule) for schedule in spec.schedules}
    states = [Status.COMPLETED, Status.DIVERGED, Status.FAILED, Status.PRUNED]
    while config := controller.next():
        status = states[len(records) % 4] if config.schedule == "fixed" else Status.COMPLETED
        ran = record(config, status=status)
        records.append(replace(ran, objective=None) if status is Status.DIVERGED else ran)
        controller.complete(records[-1])
        driver = tuple(controller.progress(schedule.name) for schedule in spec.schedules)
        best = [replace(row, best=None) for row in progress_of(planned, records, spec.objective)]
        assert [replace(row, best=None) for row in driver] == best
    whole = Progress(driver)
    assert whole.finished == whole.planned == controller.remaining + spec.all_trials
    assert controller.done
    controller.complete(records[-1])
    assert controller.remaining == 0, "a record that comes twice counts once"


def test_of_a_stopped_schedule_nothing_more_starts_and_a_resume_without_the_stop_runs_the_rest() -> None:
    spec = study(trials=4)
    controller, running, records = Controller(spec), [], []
    for _ in range(6):
        config = controller.next()
        assert config is not None
        running.append(config)
    controller.stop(["small"])
    assert {config.schedule for config in running} == {"lipschitz", "fixed", "small"}
    ended = next(config for config in running if config.schedule == "small")
    for config in running:
        if config.schedule != "small" or config is ended:  # the others were taken back
            records.append(record(config))
            controller.complete(records[-1])
    while (config := controller.next()) is not None:
        assert config.schedule != "small"
        records.append(record(config))
        controller.complete(records[-1])
    assert controller.done
    assert controller.in_flight == 0
    progress = controller.progress("small")
    assert (progress.stopped, progress.done, progress.planned) == (True, 1, 1), "it ended after the stop"
    assert Controller(spec, records, stopped=["small"]).done
    whole = {each.trial_id: each.params for each in play(spec, 3)}
    assert {each.trial_id: each.params for each in play(spec, 3, finished=records)} == whole
