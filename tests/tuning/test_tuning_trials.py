"""The tunings of a schedule: each repeats another study, chooses its winner, and stops what cannot win."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from test_controller import record

from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.rules.run_progress import progress_of
from lrstudy.rules.seeding import replicate_seed
from lrstudy.rules.trial_ids import trial_id, trial_number
from lrstudy.spec import Study, parse_study
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.retries import to_retry

Outcome = Callable[[TrialConfig], dict[str, Any]]
FIXED = {"lr": {"low": 1e-3, "high": 1.0, "log": True}}
SCHEDULES: dict[str, Any] = {"lipschitz": {}, "fixed": FIXED, "small": {"kind": "fixed", **FIXED}}
CHOICES = {"few": {"kind": "fixed", "lr": [0.1, 0.2]}}


def study(seed: int = 0, schedules: dict[str, Any] = SCHEDULES, **budget: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "seed": seed,
            "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 32, "epochs": 40},
            "budget": {"trials": 8, "confirm_seeds": 3, **budget},
            "target": {"values": [0.9, 0.95]},
            "schedules": schedules,
        },
        "test",
    )


def luck(config: TrialConfig) -> dict[str, Any]:
    """An outcome that depends on a trial's hyperparameters and seed alone; some trials diverge."""
    rng = random.Random(f"{config.schedule} {sorted(config.params.items())} {config.seed}")
    if config.phase is Phase.RANGE_TEST:
        return {"params": {"min_lr": rng.uniform(0.01, 0.02), "max_lr": rng.uniform(0.5, 1.0)}}
    if rng.random() < 0.1:
        return {"status": Status.DIVERGED, "objective": None, "best_val": None, "best_evaluation": None}
    return {"objective": 40 * rng.random()}


def play(
    spec: Study,
    outcome: Outcome = luck,
    *,
    concurrency: int = 3,
    order: int = 0,
    finished: list[TrialRecord] | None = None,
) -> tuple[Controller, list[TrialConfig], list[TrialRecord]]:
    """Run a study with so many trials at once, which end in random order."""
    rng = random.Random(order)
    controller, running = Controller(spec, finished or []), []
    configs, records = [], list(finished or [])
    while not controller.done:
        while len(running) < concurrency and (config := controller.next()) is not None:
            running.append(config)
            configs.append(config)
        assert running, "nothing runs and nothing is left to start"
        config = running.pop(rng.randrange(len(running)))
        records.append(record(config, **outcome(config)))
        controller.complete(records[-1])
    assert not running
    assert controller.next() is None
    return controller, configs, records


def of(configs: list[TrialConfig], replicate: int) -> dict[str, tuple[Any, ...]]:
    """The trials of a replicate by the id that they would have in the first."""
    return {
        trial_id(c.schedule, c.phase, trial_number(c.trial_id)): (c.params, c.seed, c.cap)
        for c in configs
        if c.replicate == replicate
    }


TESTED = {"fixed": {"lr": "range-test"}, "small": SCHEDULES["small"]}


@pytest.mark.parametrize(
    ("budget", "schedules"),
    [
        ({}, SCHEDULES),
        ({"select": 3, "tune_seeds": 2}, SCHEDULES),
        ({"search": "random", "common_seed": False}, SCHEDULES),
        ({"extend": True, "extend_trials": 5}, SCHEDULES),
        ({"objective": "best"}, TESTED),
    ],
    ids=str,
)
def test_a_replicate_is_the_study_with_its_seed(budget: dict[str, Any], schedules: dict[str, Any]) -> None:
    _, configs, _ = play(study(7, schedules, replicates=3, **budget), concurrency=9)
    for replicate in (1, 2, 3):
        alone = study(replicate_seed(7, replicate), schedules, **budget)
        assert of(configs, replicate) == of(play(alone, order=1)[1], 1)
    assert of(configs, 1) != of(configs, 2) != of(configs, 3)


def test_the_seed_of_the_first_replicate_is_the_studys_and_no_other_is() -> None:
    seeds = [replicate_seed(7, replicate) for replicate in range(1, 200)]
    assert seeds[0] == 7
    assert len(set(seeds)) == len(seeds)


def test_every_trial_of_every_replicate_is_run_once_in_any_order() -> None:
    spec = study(replicates=3, select=2)
    first = play(spec, concurrency=1)[1]
    assert len({c.trial_id for c in first}) == len(first) == 3 * (2 * (8 + 6) + 1 + 3 * 3)
    for concurrency, order in ((5, 1), (100, 2)):
        again = play(spec, concurrency=concurrency, order=order)[1]
        assert {c.trial_id: c for c in again} == {c.trial_id: c for c in first}


def test_schedules_share_the_seeds_of_a_replicate_and_replicates_share_none() -> None:
    _, configs, _ = play(study(replicates=3, select=2))
    seeds: dict[tuple[int, Phase, str], set[int]] = {}
    for c in configs:
        seeds.setdefault((c.replicate, c.phase, c.schedule), set()).add(c.seed)
    for replicate in (1, 2, 3):
        tune, select, confirm = (
            {
                tuple(sorted(seeds[replicate, phase, name]))
                for name in SCHEDULES
                if (replicate, phase, name) in seeds
            }
            for phase in (Phase.TUNE, Phase.SELECT, Phase.CONFIRM)
        )
        assert [len(shared) for shared in (tune, select, confirm)] == [1, 1, 1]
        assert [len(*shared) for shared in (tune, select, confirm)] == [1, 3, 3]
    every = [c.seed for c in configs]
    assert len(set(every)) == 3 * (1 + 3 + 3), "phases and replicates share no seed"


@pytest.mark.parametrize(("common", "tuned"), [(True, 2), (False, 16)])
def test_configurations_are_compared_on_common_seeds_unless_the_study_says_otherwise(
    common: bool, tuned: int
) -> None:
    _, configs, _ = play(study(tune_seeds=2, common_seed=common))
    assert len({c.seed for c in configs if c.phase is Phase.TUNE and c.schedule == "fixed"}) == tuned


def test_replicates_are_tuned_one_after_the_other_as_far_as_workers_are_busy() -> None:
    controller = Controller(study(replicates=3, search="random", objective="best"))
    started = [controller.next() for _ in range(2 * (8 + 8 + 1))]
    assert [c.replicate for c in started if c is not None] == [1] * 17 + [2] * 17


# -- the selection among the best configurations ---------------------------------------------------


def chosen(values: dict[int, float], selected: dict[int, dict[str, Any]], **budget: Any) -> Any:
    """Tune ``fixed``: values by configuration; then outcomes by the number of the selection's trial."""

    def outcome(config: TrialConfig) -> dict[str, Any]:
        number = trial_number(config.trial_id)
        if config.phase is Phase.TUNE:
            return {"objective": values.get(number, 39.0)}
        return selected.get(number, {"objective": 30.0}) if config.phase is Phase.SELECT else {}

    return play(study(schedules={"fixed": FIXED}, **budget), outcome)


def params_of(configs: list[TrialConfig], phase: Phase) -> list[dict[str, Any]]:
    chosen = sorted((c for c in configs if c.phase is phase), key=lambda c: trial_number(c.trial_id))
    return [dict(c.params) for c in chosen]


def test_the_best_mean_on_further_seeds_wins_and_not_the_best_of_the_search() -> None:
    values = {5: 4.0, 2: 5.0, 7: 6.0, 1: 7.0}
    # Two seeds for each of three finalists: 5, 2 and 7. The second has the best mean, not the best trial.
    outcomes = {n: {"objective": value} for n, value in enumerate([3.0, 20.0, 9.0, 8.0, 10.0, 11.0])}
    controller, configs, records = chosen(values, outcomes, select=3, select_seeds=2)
    tuned, selected, confirmed = (params_of(configs, p) for p in (Phase.TUNE, Phase.SELECT, Phase.CONFIRM))
    assert selected == [tuned[n] for n in (5, 5, 2, 2, 7, 7)]
    assert confirmed == [tuned[2]] * 3
    winner = controller.winner("fixed")
    assert winner is not None
    assert (winner.params, winner.objective) == (tuned[2], 8.5)
    # Each finalist runs on the same seeds.
    seeds = [r.seed for r in sorted(records, key=lambda r: r.trial_id) if r.phase is Phase.SELECT]
    assert seeds[:2] == seeds[2:4] == seeds[4:]


def test_among_equal_finalists_the_better_of_the_search_wins() -> None:
    _, configs, _ = chosen({5: 4.0, 2: 5.0}, {}, select=2)
    assert params_of(configs, Phase.CONFIRM)[0] == params_of(configs, Phase.TUNE)[5]


FAILED = {"status": Status.FAILED, "objective": None, "error": "boom"}
DIVERGED = {"status": Status.DIVERGED, "objective": None}


@pytest.mark.parametrize(
    ("outcomes", "winner"),
    [
        ([FAILED, FAILED, {"objective": 35.0}, {"objective": 35.0}], 2),
        ([FAILED, {"objective": 9.0}, {"objective": 10.0}, {"objective": 10.0}], 5),
        ([DIVERGED, {"objective": 1.0}, {"objective": 35.0}, {"objective": 35.0}], 2),
        ([FAILED, FAILED, DIVERGED, DIVERGED], 2),
        ([FAILED] * 4, 5),
        ([DIVERGED] * 4, 5),
    ],
    ids=[
        "all of one failed",
        "one of one failed",
        "one of one diverged",
        "failed or diverged",
        "all failed",
        "all diverged",
    ],
)
def test_a_finalist_whose_trials_failed_or_diverged_is_ranked_by_the_others(
    outcomes: list[dict[str, Any]], winner: int
) -> None:
    _, configs, _ = chosen({5: 4.0, 2: 5.0}, dict(enumerate(outcomes)), select=2, select_seeds=2)
    assert params_of(configs, Phase.CONFIRM) == [params_of(configs, Phase.TUNE)[winner]] * 3


def test_where_fewer_configurations_are_left_fewer_are_selected_and_the_study_ends() -> None:
    def outcome(config: TrialConfig) -> dict[str, Any]:
        lost = config.phase is Phase.TUNE and trial_number(config.trial_id) != 3
        return FAILED if lost else luck(config)

    spec = study(schedules={"fixed": FIXED}, select=4, search="random")
    controller, configs, records = play(spec, outcome)
    assert len(params_of(configs, Phase.SELECT)) == 3
    assert controller.progress("fixed").phases[Phase.SELECT] == (3, 3)
    counted = progress_of({"fixed": spec.planned(spec.schedules[0])}, records, spec.objective)
    assert counted[0].done == controller.progress("fixed").done == len(records)
    controller, configs, _ = play(study(schedules={"fixed": FIXED}, select=4), lambda _: FAILED)
    assert controller.winner("fixed") is None
    assert len(configs) == 8


def test_finalists_are_different_configurations() -> None:
    _, configs, _ = play(study(schedules=CHOICES, select=3, select_seeds=2))
    selected = params_of(configs, Phase.SELECT)
    assert [p["lr"] for p in selected] in ([0.1, 0.1, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1])


def test_a_schedule_without_a_search_has_no_selection() -> None:
    _, configs, _ = play(study(select=2))
    assert not [c for c in configs if c.schedule == "lipschitz" and c.phase is Phase.SELECT]


@pytest.mark.parametrize("budget", [{"select": 3}, {"tune_seeds": 2, "select": 2, "replicates": 2}], ids=str)
def test_a_resume_at_any_trial_runs_what_is_missing_with_the_same_outcome(budget: dict[str, Any]) -> None:
    spec = study(**budget)
    _, configs, records = play(spec, concurrency=4)
    whole = {c.trial_id: c for c in configs}
    for kept in range(0, len(records), 5):
        _, again, all_records = play(spec, finished=records[:kept], order=kept)
        assert len(again) + kept == len(all_records) == len(whole)
        assert all(whole[c.trial_id] == c for c in again)


@pytest.mark.parametrize(
    ("phase", "later"),
    [
        (Phase.RANGE_TEST, {Phase.TUNE, Phase.SELECT, Phase.CONFIRM}),
        (Phase.TUNE, {Phase.SELECT, Phase.CONFIRM}),
        (Phase.SELECT, {Phase.CONFIRM}),
        (Phase.CONFIRM, set()),
    ],
)
def test_a_retry_also_repeats_what_depended_on_the_failed_trial_in_its_replicate(
    phase: Phase, later: set[Phase]
) -> None:
    spec = study(schedules=TESTED, replicates=2, select=2, select_seeds=2)
    lost = trial_id("fixed", phase, 0, 2)
    wanted = {c.trial_id: c for c in play(spec)[1]}
    _, _, records = play(spec, lambda c: FAILED if c.trial_id == lost else luck(c))
    again = set(to_retry(records))
    depended = [r for r in records if (r.schedule, r.replicate) == ("fixed", 2) and r.phase in later]
    assert again == {r.trial_id for r in depended} | {lost}
    kept = [r for r in records if r.trial_id not in again]
    _, configs, mended = play(spec, finished=kept)
    assert len(mended) == len({r.trial_id for r in mended}) == len(wanted)
    if phase is not Phase.TUNE:  # later generations of the search knew the failure
        assert all(wanted[c.trial_id] == c for c in configs)


# -- the time that a run has to beat ---------------------------------------------------------------


def caps(spec: Study, times: list[float]) -> dict[int, float | None]:
    """The cap of each configuration of ``fixed``, which arrive after these times on their first seed."""
    repeats = spec.budget.tune_seeds

    def outcome(config: TrialConfig) -> dict[str, Any]:
        number = trial_number(config.trial_id)
        return {"objective": times[number // repeats] + number % repeats}

    _, configs, _ = play(spec, outcome)
    return {
        trial_number(c.trial_id) // repeats: c.cap
        for c in configs
        if c.phase is Phase.TUNE and c.schedule == "fixed"
    }


TIMES = [30.0, 20.0, 25.0, 70.0, 9.0, 12.0, 11.0, 10.0, 8.0, 7.0]


@pytest.mark.parametrize("search", ["tpe", "random"])
def test_the_cap_is_the_best_time_of_earlier_generations(search: str) -> None:
    found = caps(study(trials=10, generation=2, search=search), TIMES)
    assert [found[n] for n in range(10)] == [None] * 2 + [20.0] * 4 + [9.0] * 4


def test_no_configuration_is_capped_where_it_may_still_win_on_the_mean_of_its_seeds() -> None:
    found = caps(study(trials=8, tune_seeds=2), TIMES)
    # The best mean so far is 20.5: with 0 on the other seed, 41 loses.
    assert found == dict.fromkeys(range(4)) | dict.fromkeys(range(4, 8), 41.0)


def test_no_configuration_is_capped_where_it_may_still_be_a_finalist() -> None:
    found = caps(study(trials=10, generation=2, select=3), TIMES)
    # Of 30, 20, 25 and 70 the third; then of 9 and 12 too; then of 11 and 10 too.
    assert [found[n] for n in range(10)] == [None] * 4 + [30.0] * 2 + [20.0] * 2 + [11.0] * 2


def test_a_time_without_an_arrival_ends_no_run() -> None:
    found = caps(study(trials=8), [55.0, 60.0, 70.0, 44.0, 9.0, 9.0, 9.0, 9.0])
    assert all(cap is None or cap > 40 for cap in found.values())


@pytest.mark.parametrize(
    "budget", [{"stop": "never"}, {"objective": "best"}, {"objective": "mean"}, {"generation": 8}], ids=str
)
def test_without_earlier_times_to_beat_there_is_no_cap(budget: dict[str, Any]) -> None:
    assert set(caps(study(trials=8, **budget), TIMES).values()) == {None}


def test_only_tuning_trials_have_a_cap_and_each_that_of_its_replicate() -> None:
    _, configs, records = play(study(replicates=2, select=2))
    assert {c.phase for c in configs if c.cap is not None} == {Phase.TUNE}
    for replicate in (1, 2):
        times = {
            trial_number(r.trial_id): r.objective or math.inf
            for r in records
            if (r.schedule, r.replicate, r.phase) == ("fixed", replicate, Phase.TUNE)
        }
        found = {
            c.cap for c in configs if (c.schedule, c.replicate) == ("fixed", replicate) and c.cap is not None
        }
        assert found == {sorted(times[n] for n in range(4))[1]}, "two finalists"


# -- replicates that are planned later -------------------------------------------------------------


def test_more_replicates_are_planned_for_some_schedules_and_keep_what_is_there() -> None:
    spec = study(replicates=2)
    controller, first, records = play(spec)
    controller.plan(4, ["fixed", "lipschitz"])
    assert controller.replicates == {"lipschitz": 4, "fixed": 4, "small": 2}
    more = []
    while (config := controller.next()) is not None:
        more.append(config)
        controller.complete(record(config, **luck(config)))
    assert controller.done
    assert {(c.schedule, c.replicate) for c in more} == {
        (s, r) for s in ("fixed", "lipschitz") for r in (3, 4)
    }
    whole = {c.trial_id: c for c in play(study(replicates=4))[1]}
    assert all(whole[c.trial_id] == c for c in [*first, *more])
    assert len(records) + len(more) == len(whole) - 2 * (8 + 3)


def test_records_of_later_replicates_wait_until_those_are_planned() -> None:
    _, _, records = play(study(replicates=4))
    controller = Controller(study(replicates=2), records)
    assert controller.done
    assert sum(controller.progress(name).done for name in SCHEDULES) == len(records) // 2
    controller.plan(4)
    assert controller.done
    assert controller.next() is None
    assert sorted(controller.ended) == sorted(r.trial_id for r in records)
