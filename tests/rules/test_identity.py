"""What makes two runs one study: settings that came later change nothing at their defaults."""

from __future__ import annotations

import pytest

from lrstudy.rules.identity import FREE_SECTIONS, NEUTRAL, deciding_part, deciding_task
from lrstudy.spec import parse_study
from lrstudy.tuning.cluster.provenance import study_info

FIRST_VERSION = {
    "augment",
    "batch_size",
    "channels_last",
    "dataset",
    "deterministic",
    "divergence",
    "epochs",
    "loss",
    "model",
    "normalize",
    "optimizer",
    "precision",
    "rows",
    "test",
    "validation",
}
SPEC = study_info(
    parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": "mlp", "batch_size": 8, "epochs": 1},
            "schedules": {"fixed": {"lr": 0.1}},
        },
        "test",
    )
).spec


def test_a_task_with_defaults_is_decided_by_the_settings_of_the_first_version() -> None:
    """A setting that is added without a neutral value would make every older run another study."""
    assert set(deciding_task(SPEC["task"])) == FIRST_VERSION


@pytest.mark.parametrize("name", [name for name in NEUTRAL if name != "loader"])
def test_a_later_setting_decides_as_soon_as_it_is_used(name: str) -> None:
    task = SPEC["task"] | {name: "another value"}
    assert deciding_task(task) == deciding_task(SPEC["task"]) | {name: "another value"}


def test_more_processes_that_read_are_the_same_task_and_reading_is_another() -> None:
    one, two = (deciding_task(SPEC["task"] | {"loader": {"workers": workers}}) for workers in (1, 2))
    assert one == two != deciding_task(SPEC["task"])


def test_free_sections_decide_nothing() -> None:
    changed = SPEC | {key: {"anything": 1} for key in FREE_SECTIONS}
    assert deciding_part(changed, range_tests=False) == deciding_part(SPEC, range_tests=False)
