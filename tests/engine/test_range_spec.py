"""A range test as a search space: what a study file may say, and what follows from it before any run."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from lrstudy.engine.trial import TrialConfig
from lrstudy.errors import StudyFileError
from lrstudy.records import Phase, Status, TrialRecord
from lrstudy.schedules import curve
from lrstudy.spec import Range, Study, parse_study
from lrstudy.spec.json_schema import study_schema
from lrstudy.tuning.driver.controller import Controller

BOUNDS = {"min_lr": 0.02, "max_lr": 0.7}


def raw(**more: Any) -> dict[str, Any]:
    return {
        "name": "s",
        "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": 4},
        "budget": {"trials": 12, "confirm_seeds": 2, **more.pop("budget", {})},
        "schedules": {
            "fixed": {"lr": {"low": 0.01, "high": 1.0, "log": True}},
            "one-cycle": {"max_lr": "range-test", "pct_start": [0.2, 0.4], **more.pop("one_cycle", {})},
        },
        **more,
    }


def study(**more: Any) -> Study:
    return parse_study(raw(**more), "test")


def done(config: TrialConfig, **changes: Any) -> TrialRecord:
    now = datetime.now(UTC)
    test = config.phase is Phase.RANGE_TEST
    params = dict(changes.pop("found", BOUNDS)) if test else dict(config.params)
    value = None if test else float(config.params.get("max_lr", 0.5))
    given = {"status": Status.COMPLETED, "error": None, "evaluations_run": 4} | changes
    return TrialRecord(
        trial_id=config.trial_id, phase=config.phase, schedule=config.schedule, seed=config.seed,
        params=params, best_val=value, best_evaluation=None, objective=value, test_loss=None,
        test_accuracy=None, test_r2=None, started_at=now, ended_at=now, node="here", device="cpu", attempt=1,
        **given,
    )  # fmt: skip


def play(spec: Study, finished: list[TrialRecord], seed: int = 0, **changes: Any) -> list[TrialRecord]:
    """Run what is missing, four at a time, finishing in random order."""
    order = random.Random(seed)
    controller, running, records = Controller(spec, finished), [], list(finished)
    while not controller.done:
        while len(running) < 4 and (config := controller.next()) is not None:
            running.append(config)
        assert len(running) == controller.in_flight > 0
        config = running.pop(order.randrange(len(running)))
        records.append(done(config, **(changes if config.phase is Phase.RANGE_TEST else {})))
        controller.complete(records[-1])
    assert controller.remaining == 0
    return sorted(records, key=lambda record: record.trial_id)


def test_until_the_test_the_range_is_what_will_be_tried() -> None:
    span = study(range_test={"low": 1e-4, "high": 3.0}).schedule("one-cycle").space["max_lr"]
    assert span == Range(1e-4, 3.0, log=True, tested=True)
    assert study().to_json()["schedules"]["one-cycle"]["space"]["max_lr"] == "range-test"


def test_it_takes_the_place_of_one_configuration_on_all_its_seeds() -> None:
    for seeds in (1, 3):
        spec = study(budget={"tune_seeds": seeds})
        assert spec.tune_trials(spec.schedule("fixed")) == 12 * seeds
        assert spec.tune_trials(spec.schedule("one-cycle")) == 11 * seeds


def test_one_s_own_schedule_can_have_one_too() -> None:
    spec = study(schedules={"own": {"kind": "my.module:make", "max_lr": "range-test", "word": "range-test"}})
    assert spec.schedules[0].range_tests == 1
    assert spec.schedules[0].fixed == {"word": "range-test"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"one_cycle": {"div_factor": "range-test"}}, "must be a number"),
        ({"one_cycle": {"max_lr": ["range-test", 0.1]}}, "must be a number"),
        ({"schedules": {"lipschitz": {"max_lr": "range-test"}}}, "must be a number"),
        ({"schedules": {"cyclic": {"base_lr": "range-test"}}}, "must be a number"),
        ({"budget": {"trials": 1}}, "budget.trials = 1: leaves nothing to search with"),
        ({"range_test": {"epochs": 5}}, "range_test.epochs = 5: is more than a trial of the study has, 4"),
        ({"range_test": {"low": 2.0, "high": 1.0}}, "is not below range_test.high, 1"),
        ({"range_test": {"low": 0.0}}, "range_test.low"),
    ],
)
def test_what_cannot_be_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(**more)
    assert words in str(caught.value)


def test_the_settings_decide_the_trials_only_where_a_test_is_asked_for() -> None:
    plain = {"schedules": {"fixed": {"lr": 0.1}}}
    assert study(**plain).spec_hash == study(**plain, range_test={"high": 1.0}).spec_hash
    assert study().spec_hash != study(range_test={"high": 1.0}).spec_hash


def test_the_json_schema_allows_it_where_it_may_stand() -> None:
    validator = jsonschema.Draft202012Validator(study_schema())
    validator.validate(raw())
    for wrong in ({"div_factor": "range-test"}, {"max_lr": ["range-test"]}):
        assert not validator.is_valid(raw(one_cycle=wrong))


def test_a_schedule_is_never_built_from_the_words() -> None:
    with pytest.raises(ValueError, match="must be a number"):
        curve("one-cycle", {"max_lr": "range-test"}, 3, 10)


def test_the_test_comes_first_and_its_bounds_are_searched() -> None:
    records = play(study(), [])
    assert [r.trial_id for r in records if r.phase is Phase.RANGE_TEST] == ["one-cycle-range-test-000"]
    tuned = [r for r in records if r.schedule == "one-cycle" and r.phase is Phase.TUNE]
    assert len(tuned) == 11
    assert all(BOUNDS["min_lr"] <= r.params["max_lr"] <= BOUNDS["max_lr"] for r in tuned)
    rates = [r.params["max_lr"] for r in tuned]
    assert max(rates) / min(rates) > 3


def test_nothing_of_that_schedule_starts_before_it_and_the_others_do_not_wait() -> None:
    controller = Controller(study())
    first = [controller.next() for _ in range(4)]
    assert sum(c is not None and c.phase is Phase.RANGE_TEST for c in first) == 1
    assert [c.schedule for c in first if c is not None and c.phase is Phase.TUNE] == ["fixed"] * 3
    assert controller.progress("one-cycle").phases == {
        Phase.RANGE_TEST: (0, 1),
        Phase.TUNE: (0, 11),
        Phase.CONFIRM: (0, 2),
    }


@pytest.mark.parametrize("kept", [0, 1, 3, 9, 20])
def test_a_resume_repeats_neither_the_test_nor_what_it_decided(kept: int) -> None:
    whole = play(study(), [])
    ordered = sorted(whole, key=lambda r: (r.phase is not Phase.RANGE_TEST, r.phase.value, r.trial_id))
    tune_first = sorted(ordered, key=lambda r: r.phase is Phase.CONFIRM)[:kept]
    again = play(study(), tune_first[::-1], seed=kept)
    assert [(r.trial_id, r.params) for r in again] == [(r.trial_id, r.params) for r in whole]


def test_a_test_that_failed_leaves_the_whole_range() -> None:
    records = play(study(), [], status=Status.FAILED, error="Traceback", found={})
    rates = [r.params["max_lr"] for r in records if r.schedule == "one-cycle" and r.phase is Phase.TUNE]
    assert len(rates) == 11
    assert all(1e-5 <= rate <= 10 for rate in rates)
    assert max(rates) / min(rates) > 100


def test_a_failed_test_that_is_run_anew_narrows_what_is_still_to_be_tried() -> None:
    failed = play(study(), [], status=Status.FAILED, error="Traceback", found={})
    kept = [r for r in failed if r.phase is Phase.TUNE and not r.trial_id.endswith(("9", "10"))]
    again = play(study(), kept)
    new = {
        r.trial_id: r.params["max_lr"]
        for r in again
        if r not in kept and r.phase is Phase.TUNE and "max" in str(r.params)
    }
    assert sorted(new) == ["one-cycle-tune-009", "one-cycle-tune-010"]
    assert all(BOUNDS["min_lr"] <= rate <= BOUNDS["max_lr"] for rate in new.values())


def test_an_extension_widens_what_the_test_found() -> None:
    """The best of these results is always the highest rate: it moves beyond the bound."""
    spec = study(budget={"extend": True, "extend_trials": 8, "search": "grid"})
    rates = [
        r.params["max_lr"] for r in play(spec, []) if r.schedule == "one-cycle" and r.phase is Phase.TUNE
    ]
    assert len(rates) == 11 + 8
    assert max(rates[:11]) == pytest.approx(BOUNDS["max_lr"])
    assert max(rates) > 1.5 * BOUNDS["max_lr"]
