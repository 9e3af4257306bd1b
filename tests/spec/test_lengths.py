"""A study of several lengths has every schedule at each of them."""

from __future__ import annotations

from typing import Any

import pytest

from lrstudy.errors import StudyFileError
from lrstudy.records import Phase
from lrstudy.rules.objective import Objective
from lrstudy.spec import Study, parse_study, restore_study
from lrstudy.spec.searched_values import study_of_trial

MODEL = {"name": "mlp", "widths": [8]}
TAKEN = {"fixed": {"lr": 0.1}, "fixed@10": {"kind": "fixed", "lr": 0.1}}


def study(task: dict[str, Any] | None = None, **sections: Any) -> Study:
    built_in = {"dataset": "digits", "model": MODEL, "batch_size": 32, "lengths": [20, 10, 40]}
    raw = {
        "name": "s",
        "task": built_in if task is None else task,
        "budget": {"trials": 4, "confirm_seeds": 3},
        "target": {"values": [0.9]},
        "schedules": {"fixed": {"lr": {"low": 0.01, "high": 1.0}}, "cosine": {"lr": 0.1}},
        **sections,
    }
    return parse_study(raw, "test")


OWN = {
    "train": "some_module:train",
    "steps": 4000,
    "metrics": {"val_loss": "min"},
    "lengths": [1000, 4000],
}


def test_the_longest_length_is_the_study_s_and_keeps_the_schedules_names() -> None:
    found = study()
    assert (found.clock, found.length) == ("epochs", 40)
    assert [spec.name for spec in found.schedules] == [
        *("fixed", "cosine"),
        *("fixed@10", "cosine@10"),
        *("fixed@20", "cosine@20"),
    ]
    assert [found.length_of(spec.name) for spec in found.schedules] == [40, 40, 10, 10, 20, 20]
    assert [(spec.of, spec.length) for spec in found.schedules[2:4]] == [("fixed", 10), ("cosine", 10)]


def test_a_trial_of_a_shorter_length_is_laid_out_for_it() -> None:
    found = study()
    assert study_of_trial(found, "cosine@10", {"lr": 0.1}).built_in.epochs == 10
    assert study_of_trial(found, "cosine", {"lr": 0.1}) is found
    own = study(OWN, target={"metric": "val_loss"})
    shorter = study_of_trial(own, "cosine@1000", {"lr": 0.1})
    assert (shorter.clock, shorter.length) == ("steps", 1000)


def test_every_length_has_the_whole_budget() -> None:
    found = study()
    each = {spec.name: found.planned(spec) for spec in found.schedules}
    assert each["fixed@10"] == each["fixed@20"] == each["fixed"]
    assert each["fixed"][Phase.TUNE] == 4
    assert found.all_trials == 3 * (4 + 3 + 1 + 3)
    assert found.trials_of_whole_length == pytest.approx((4 + 3 + 1 + 3) * (10 + 20 + 40) / 40)


def test_lengths_are_tuned_for_their_end_and_no_run_is_stopped() -> None:
    found = study()
    assert (found.budget.objective, found.budget.stop) == ("final", "never")
    assert found.objective == Objective("final", found.metric, None, "epochs", 40.0)
    asked = study(budget={"trials": 4, "confirm_seeds": 3, "objective": "best"})
    assert asked.budget.objective == "best"


def test_a_stored_study_of_several_lengths_is_read_as_it_was() -> None:
    for found in (study(), study(OWN, target={"metric": "val_loss"})):
        assert restore_study(found.to_json(), "stored") == found
        assert list(found.resolved()["schedules"]) == ["fixed", "cosine"]


def test_a_study_of_one_length_is_the_one_it_was() -> None:
    one = {"dataset": "digits", "model": MODEL, "batch_size": 32, "epochs": 40}
    plain = study(one)
    assert study({**one, "lengths": []}).spec_hash == plain.spec_hash
    assert study({**one, "lengths": [10]}).spec_hash != plain.spec_hash
    assert [spec.name for spec in study({**one, "lengths": [40]}).schedules] == ["fixed", "cosine"]


@pytest.mark.parametrize(
    ("sections", "key", "said"),
    [
        ({"budget": {"stop": "all"}}, "budget.stop", "the ends of runs are compared"),
        ({"budget": {"until": "decided", "replicates": 4}}, "budget.until", "does not go with task.lengths"),
        ({"schedules": TAKEN}, "schedules.fixed@10", "is the name of fixed at the length 10"),
    ],
)
def test_what_does_not_go_with_lengths_is_refused(sections: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(**sections)
    assert [(each.key, said in each.message) for each in caught.value.problems] == [(key, True)]


def test_a_length_beyond_the_study_s_is_refused() -> None:
    task = {"dataset": "digits", "model": MODEL, "batch_size": 32, "epochs": 15, "lengths": [10, 20]}
    with pytest.raises(StudyFileError, match=r"task.lengths\[1\] = 20: is more than task.epochs, 15"):
        study(task)
