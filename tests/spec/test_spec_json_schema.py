"""The JSON Schema says of a study file what the checks say, as far as a schema can."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lrstudy.errors import StudyFileError
from lrstudy.spec import parse_study
from lrstudy.spec.json_schema import study_schema
from lrstudy.spec.shipped import new_study, shipped_studies

VALIDATOR = jsonschema.Draft202012Validator(study_schema())

GOOD = """
name = "small"
[task]
dataset = "digits"
model = "softmax-regression"
batch_size = 64
epochs = 1
[schedules.lipschitz]
[schedules.other]
kind = "fixed"
lr = { low = 0.01, high = 1.0, log = true }
[schedules.step]
lr = 0.1
weight_decay = { from = { low = 1e-4, high = 0.1, log = true }, to = 0.0, shape = "cosine" }
milestones = [[0.5], [0.25, 0.75]]
"""

BROKEN = {
    "unknown key": ("epochs = 1", "epochs = 1\nepoch = 2"),
    "missing key": ("epochs = 1", ""),
    "wrong type": ("epochs = 1", 'epochs = "one"'),
    "out of range": ("epochs = 1", "epochs = 0"),
    "unknown dataset": ('"digits"', '"digit"'),
    "unknown model option": ('"softmax-regression"', '{ name = "mlp", depth = 3 }'),
    "model option out of range": ('"softmax-regression"', '{ name = "mlp", dropout = 1.5 }'),
    "unknown torchvision model": ('"softmax-regression"', '"torchvision:resnet19"'),
    "unknown loss": ("epochs = 1", 'epochs = 1\nloss = "entropy"'),
    "unknown augmentation": ("epochs = 1", 'epochs = 1\naugment = ["flop"]'),
    "unknown normalization": ("epochs = 1", 'epochs = 1\nnormalize = "no"'),
    "unknown metric": ("[task]", '[target]\nmetric = "accuracy"\n[task]'),
    "unknown search": ("[task]", '[budget]\nsearch = "bayes"\n[task]'),
    "name with a slash": ('"small"', '"a/b"'),
    "unknown kind": ('kind = "fixed"', 'kind = "fixd"'),
    "name that is no kind": ('kind = "fixed"', ""),
    "unknown parameter": ("lr = 0.1", "lr = 0.1\nspeed = 1"),
    "parameter of another kind": ('kind = "fixed"', 'kind = "fixed"\ngamma = 0.1'),
    "parameter out of range": ("lr = 0.1", "lr = -0.1"),
    "range without an end": ("low = 0.01, ", ""),
    "range with a fourth key": ("log = true", "log = true, step = 1"),
    "no choices": ("lr = 0.1", "lr = []"),
    "momentum that does not move": ("lr = 0.1", "lr = 0.1\nmomentum = 0.9"),
    "momentum out of range": ("lr = 0.1", "lr = 0.1\nmomentum = { from = 1.5 }"),
    "momentum from nothing to nothing": ("lr = 0.1", 'lr = 0.1\nmomentum = { shape = "linear" }'),
    "unknown shape of a weight decay": ('shape = "cosine"', 'shape = "s"'),
    "momentum of a rule that takes it for constant": (
        "[schedules.lipschitz]",
        "[schedules.lipschitz]\nmomentum = { from = 0.5 }",
    ),
    "no schedules": ("[schedules", "[scheduls"),
}


def is_valid(data: dict[str, Any]) -> bool:
    return bool(VALIDATOR.is_valid(data))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(study_schema())


@pytest.mark.parametrize("name", shipped_studies())
def test_shipped_studies_are_valid(name: str) -> None:
    VALIDATOR.validate(tomllib.loads(shipped_studies()[name].read_text()))


def test_a_new_study_is_valid() -> None:
    (text,) = new_study('a "quoted" name', Path("x.toml")).values()
    VALIDATOR.validate(tomllib.loads(text))
    assert parse_study(tomllib.loads(text), "x.toml").name == 'a "quoted" name'


@pytest.mark.parametrize("case", BROKEN)
def test_what_the_checks_refuse_is_not_valid(case: str) -> None:
    old, new = BROKEN[case]
    assert old in GOOD
    assert is_valid(tomllib.loads(GOOD))
    data = tomllib.loads(GOOD.replace(old, new))
    with pytest.raises(StudyFileError):
        parse_study(data, "study.toml")
    assert not is_valid(data)


def test_everything_has_a_description() -> None:
    def walk(place: str, schema: dict[str, Any]) -> None:
        for name, entry in schema.get("properties", {}).items():
            if name != "kind" and "const" not in entry:
                assert entry.get("description"), f"{place}.{name}"
            if place.count(".") < 1:
                walk(f"{place}.{name}", entry)

    schema = study_schema()
    walk("", schema)
    for name, entry in schema["$defs"].items():
        walk(name, entry)
