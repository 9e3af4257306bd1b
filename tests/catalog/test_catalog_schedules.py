"""The schedules' declarations: sound in themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

import lrstudy
from lrstudy.catalog import REQUIRED
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.spec import load_study

EVERY = [(kind, parameter) for kind, component in SCHEDULES.items() for parameter in component.parameters]


def test_what_the_field_would_ask_about_is_there() -> None:
    classic = {"fixed", "step", "cyclic", "one-cycle", "cosine", "linear", "exponential", "polynomial"}
    assert classic | {"inverse-time", "plateau", "lipschitz"} <= SCHEDULES.keys()
    assert {"prodigy", "d-adaptation", "schedule-free", "dog"} <= SCHEDULES.keys()


def test_names_are_unique_and_keys_are_names() -> None:
    for kind, component in SCHEDULES.items():
        assert component.name == kind
        names = [parameter.name for parameter in component.parameters]
        assert len(set(names)) == len(names)
        assert "kind" not in names  # a study file's own key


@pytest.mark.parametrize(("kind", "parameter"), EVERY, ids=lambda value: getattr(value, "name", value))
def test_a_default_satisfies_its_own_declaration(kind, parameter) -> None:
    assert parameter.default is not REQUIRED, "every kind runs as it is named"
    assert parameter.problem(parameter.default) is None
    assert parameter.doc
    assert not parameter.doc.endswith(".")  # messages add it


def test_every_schedule_with_a_stated_method_names_its_source() -> None:
    for kind in ("step", "cyclic", "one-cycle", "cosine", "polynomial", "lipschitz", "prodigy", "dog"):
        assert "arXiv" in SCHEDULES[kind].source


def test_every_schedule_has_a_warmup_but_the_one_whose_steps_are_not_a_rate() -> None:
    without = {kind for kind, component in SCHEDULES.items() if component.parameter("warmup") is None}
    assert without == {"dog"}


def test_what_replaces_the_optimizer_comes_with_an_extra() -> None:
    for component in SCHEDULES.values():
        assert component.replaces_optimizer == (component.extra == "competitors")


def test_the_cyclic_schedule_leaves_momentum_alone_by_default() -> None:
    for kind in ("cyclic", "one-cycle"):
        parameter = SCHEDULES[kind].parameter("cycle_momentum")
        assert parameter is not None
        assert parameter.default is False


def test_the_study_of_all_schedules_has_every_kind() -> None:
    study = load_study(Path(lrstudy.__file__).parents[1] / "studies" / "all-schedules.toml")
    assert {schedule.kind for schedule in study.schedules} == set(SCHEDULES)
