"""``study.json``: what a report reads of a study."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_samples import STARTED, study

from lrstudy.store import ScheduleInfo, StudyInfo

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
    assert (info.epochs, info.trials, info.confirm_seeds, info.seed) == (5, 4, 2, 3)
    assert info.created_at == STARTED
    space = {"lr": {"low": 0.001, "high": 3.0, "log": True}, "gamma": [0.1, 0.5]}
    assert info.schedules == (
        ScheduleInfo("lipschitz", "lipschitz", {}, {}),
        ScheduleInfo("fixed", "fixed", {"a": 1}, space),
    )


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
