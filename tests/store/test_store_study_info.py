"""``study.json``: what a report reads of a study."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_samples import SPEC, STARTED, study

from lrstudy.errors import StoreError
from lrstudy.store import ScheduleInfo, StudyInfo

TARGET = SPEC["target"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), st.none() | TEXTS, st.integers(0, 2**31))
def test_json_round_trip(
    name: str, digest: str, versions: dict[str, str], commit: str | None, cpus: int
) -> None:
    info = study(name=name, spec_hash=digest, versions=versions, git_commit=commit, hardware={"cpus": cpus})
    assert StudyInfo.from_json(info.to_json()) == info


def test_what_a_report_asks_for() -> None:
    info = StudyInfo.from_json(study().to_json())
    assert info.metric.name == "val_accuracy"
    assert info.targets == [0.9]
    assert (info.reference, info.margin) == ("fixed", 0.1)
    assert (info.length, info.trials, info.confirm_seeds, info.seed) == (5, 4, 2, 3)
    assert info.created_at == STARTED
    space = {"lr": {"low": 0.001, "high": 3.0, "log": True}, "gamma": [0.1, 0.5]}
    assert info.schedules == (
        ScheduleInfo("lipschitz", "lipschitz", {}, {}),
        ScheduleInfo("fixed", "fixed", {"a": 1}, space),
    )


def test_a_study_in_steps_is_judged_by_a_metric_that_it_declares() -> None:
    metrics = {"bits": {"goal": "min", "low": 0.0, "high": None}, "f1": "max"}
    task = {"steps": 500, "epochs": None, "metrics": metrics}
    info = StudyInfo.from_json(study(spec={"task": task, "target": TARGET | {"metric": "bits"}}).to_json())
    assert (info.clock, info.length) == ("steps", 500)
    assert (info.metric.column, info.metric.low, info.metric.high) == ("bits", 0.0, math.inf)
    assert not info.metric.higher_is_better
    assert info.declared_metrics["f1"].higher_is_better
    assert (study().clock, study().length) == ("epochs", 5)


@pytest.mark.parametrize(
    ("task", "key"),
    [
        ({}, "spec.task.epochs: is missing"),
        ({"steps": 1.5}, "spec.task.steps: has the wrong type"),
        ({"epochs": True}, "spec.task.epochs: has the wrong type"),
        ({"epochs": 5, "metrics": ["f1"]}, "spec.task.metrics: is not a table of metrics"),
        ({"epochs": 5, "metrics": {"f1": {"low": 0}}}, "spec.task.metrics: is not a table of metrics"),
        ({"epochs": 5, "metrics": {"f1": "max"}}, "spec.target.metric: is not a known metric"),
    ],
)
def test_a_task_without_a_length_or_its_metric_is_refused(task: dict[str, object], key: str) -> None:
    text = study(spec={"task": task, "target": TARGET | {"metric": "bits"}}).to_json()
    with pytest.raises(StoreError, match=key):
        StudyInfo.from_json(text)


def test_a_schedule_may_say_itself_what_is_fixed() -> None:
    step = {"kind": "step", "fixed": {"milestones": [0.5, 0.75]}, "space": {"gamma": [0.1, 0.5]}}
    info = study(spec={"schedules": {"step": step}})
    assert info.schedules == (
        ScheduleInfo("step", "step", {"milestones": [0.5, 0.75]}, {"gamma": [0.1, 0.5]}),
    )


@pytest.mark.parametrize("values", [None, []])
def test_no_targets_is_none(values: list[float] | None) -> None:
    target = {"metric": "val_loss", "reference": "fixed", "values": values}
    assert study(spec={"target": target}).targets is None


def test_the_schedules_keep_the_study_files_order() -> None:
    names = ["zeta", "alpha", "10", "9"]
    target = {"metric": "val_loss", "reference": "9"}
    info = study(spec={"schedules": {name: {"kind": "fixed"} for name in names}, "target": target})
    assert [schedule.name for schedule in StudyInfo.from_json(info.to_json()).schedules] == names


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        study(hardware={"memory": math.nan}).to_json()


def test_reading_a_store_needs_neither_torch_nor_ray_nor_pandas() -> None:
    code = (
        "import lrstudy.store, sys; print({'torch', 'ray', 'pandas', 'duckdb', 'pydantic'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
