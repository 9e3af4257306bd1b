"""What a changed study is told: the keys that differ from those of its run, with both values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrstudy.errors import StoreError
from lrstudy.rules.extension import extend_commands
from lrstudy.spec import Study, parse_study
from lrstudy.store import StoreWriter, StudyInfo
from lrstudy.store.changes import MOST, changes_between, extension_between

CONTENT: dict[str, Any] = {
    "name": "s",
    "task": {
        "dataset": "digits",
        "model": {"name": "mlp", "widths": [16]},
        "batch_size": 32,
        "epochs": 8,
    },
    "budget": {"trials": 4, "confirm_seeds": 3, "objective": "best"},
    "target": {"metric": "val_accuracy", "values": [0.9], "reference": "fixed"},
    "schedules": {"fixed": {"lr": 0.1}, "step": {"lr": {"low": 0.01, "high": 1.0, "log": True}}},
}


def changed(**paths: Any) -> dict[str, Any]:
    """The content with other values; a path is ``a__b__c``, None removes."""
    content: dict[str, Any] = json.loads(json.dumps(CONTENT))
    for path, value in paths.items():
        *parents, last = path.split("__")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return content


def info(content: dict[str, Any]) -> StudyInfo:
    study: Study = parse_study(content, "test")
    return StudyInfo(study.name, study.to_json(), study.spec_hash, study.seed)


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ({"budget__confirm_seeds": 4}, ["budget.confirm_seeds: 3 → 4"]),
        ({"seed": 7}, ["seed: 0 → 7"]),
        ({"task__model": {"name": "mlp", "widths": [16, 8]}}, ["task.model.widths: [16] → [16, 8]"]),
        (
            {"task__model": "softmax-regression"},
            [('task.model: { name = "mlp", widths = [16] } → { name = "softmax-regression" }')],
        ),
        ({"schedules__step__lr__high": 2.0}, ["schedules.step.lr.high: 1.0 → 2.0"]),
        ({"schedules__fixed__lr": 0.2}, ["schedules.fixed.lr: 0.1 → 0.2"]),
        (
            {"schedules__fixed__lr": {"low": 0.1, "high": 1.0}},
            ["schedules.fixed.lr: 0.1 → { low = 0.1, high = 1.0, log = false }"],
        ),
        ({"schedules__step__gamma": [0.1, 0.5]}, ["schedules.step.gamma: not given → [0.1, 0.5]"]),
        ({"schedules__step": None}, ["schedules.step: removed"]),
        ({"schedules__cosine": {"lr": 0.1}}, ["schedules.cosine: added"]),
        ({"target__metric": "val_loss"}, ['target.metric: "val_accuracy" → "val_loss"']),
        (
            {"seed": 1, "task__epochs": 9, "schedules__lipschitz": {}},
            ["seed: 0 → 1", "task.epochs: 8 → 9", "schedules.lipschitz: added"],
        ),
    ],
)
def test_every_key_that_decides_the_trials_is_told_with_both_values(
    paths: dict[str, Any], told: list[str]
) -> None:
    before, now = info(CONTENT), info(changed(**paths))
    assert before.spec_hash != now.spec_hash
    assert changes_between(before, now) == told


@pytest.mark.parametrize(
    "paths",
    [
        {"target__margin": 0.2},
        {"resources__max_concurrent": 1},
        {"faults__error_retries": 2},
        {"logging__tensorboard": True},
        {"range_test__high": 1.0},
    ],
)
def test_what_may_change_between_two_runs_is_no_difference(paths: dict[str, Any]) -> None:
    before, now = info(CONTENT), info(changed(**paths))
    assert before.spec_hash == now.spec_hash
    assert changes_between(before, now) == []


@pytest.mark.parametrize(
    ("paths", "command"),
    [
        ({"budget__confirm_seeds": 4}, "lrstudy extend 'my runs/s' --confirm-seeds 4"),
        (
            {"budget__replicates": 3, "budget__trials": 9},
            "lrstudy extend 'my runs/s' --replicates 3 --trials 9",
        ),
        (
            {"budget__replicates": 2, "budget__until": "decided", "budget__most": 8},
            None,  # the run has one replicate: nothing to decide by
        ),
        ({"schedules__lipschitz": {}}, "lrstudy extend 'my runs/s' --schedule 'lipschitz=a study.toml'"),
        ({"budget__confirm_seeds": 2}, None),
        ({"budget__confirm_seeds": 4, "seed": 1}, None),
        ({"budget__confirm_seeds": 4, "schedules__step": None}, None),
        ({"schedules__lipschitz": {}, "schedules__fixed__lr": 0.2}, None),
        ({"name": "other", "budget__confirm_seeds": 4}, None),
        ({}, None),
    ],
)
def test_a_change_that_an_extension_can_make_has_its_command(
    paths: dict[str, Any], command: str | None
) -> None:
    parts = extension_between(info(CONTENT), info(changed(**paths)), "a study.toml")
    assert (extend_commands("my runs/s", parts) if parts else None) == command


def test_a_schedule_is_added_at_all_lengths_by_one_option() -> None:
    before = changed(task__lengths=[4], budget__objective="best", budget__stop="never")
    now = json.loads(json.dumps(before))
    now["schedules"]["lipschitz"] = {}
    assert extension_between(info(before), info(now), "f.toml") == [("schedules", "lipschitz=f.toml")]


def test_a_study_that_grows_until_decided_is_extended_by_its_cap() -> None:
    fixed = info(changed(budget__replicates=2))
    until = changed(budget__replicates=2, budget__until="decided", budget__most=8)
    assert extension_between(fixed, info(until), "") == [("most", 8)]
    more = changed(budget__replicates=2, budget__until="decided", budget__most=16)
    assert extension_between(info(until), info(more), "") == [("most", 16)]
    # Its first look would be another one.
    assert not extension_between(
        info(until),
        info(changed(budget__replicates=4, budget__until="decided", budget__most=8)),
        "",
    )


def test_targets_that_tuning_depends_on_are_told() -> None:
    timed = {"budget__objective": "target"}
    before, now = info(changed(**timed)), info(changed(**timed, target__values=[0.5, 0.9]))
    assert before.spec_hash != now.spec_hash
    assert changes_between(before, now) == ["target.values: [0.9] → [0.5, 0.9]"]


def test_a_run_of_a_version_without_replicates_is_told_what_a_new_one_does_differently() -> None:
    spec = info(changed(budget__objective=None)).spec
    stored = json.loads(json.dumps(spec))
    stored["budget"] = {"trials": 4, "confirm_seeds": 3, "objective": "best"}
    told = changes_between(StudyInfo("s", stored, "old", 0), StudyInfo("s", spec, "new", 0))
    assert 'budget.objective: "best" → "target"' in told
    assert "budget.common_seed: not given → true" in told
    assert not [line for line in told if "replicates" in line or "select" in line or "until" in line]


def test_a_range_test_that_a_schedule_asks_for_counts_with_its_settings() -> None:
    asked = {"schedules__step__lr": "range-test"}
    before, now = info(changed(**asked)), info(changed(**asked, range_test__high=1.0))
    assert before.spec_hash != now.spec_hash
    assert changes_between(before, now) == ["range_test.high: 10.0 → 1.0"]


def test_many_changes_are_folded(tmp_path: Path) -> None:
    StoreWriter.create_or_open(tmp_path, info(CONTENT)).close()
    schedules = {f"schedules__s{number}": {"kind": "fixed", "lr": 0.1} for number in range(MOST + 3)}
    with pytest.raises(StoreError) as refusal:
        StoreWriter.create_or_open(tmp_path, info(changed(**schedules, seed=3)))
    text = str(refusal.value)
    assert f"{MOST + 4} keys differ (there → now): seed: 0 → 3; schedules.s0: added" in text
    assert "and 4 more keys" in text
