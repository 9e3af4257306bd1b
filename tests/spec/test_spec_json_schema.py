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

METHODS = """
name = "small"
[task]
dataset = "digits"
model = { name = "mlp", widths = [8] }
loss = "torch.nn:CrossEntropyLoss"
optimizer = { name = "sgd", momentum = 0.9, groups = [{ match = "*.bias", weight_decay = 0.0 }] }
batch_size = 64
epochs = 1
[search]
"optimizer.weight_decay" = { low = 1e-6, high = 1e-2, log = true }
"task.batch_size" = [32, 64]
model.widths = [[8], [16]]
[schedules.fixed]
lr = 0.1
search = { "task.batch_size" = 64 }
[methods.cosine]
optimizer = "adamw"
loss = { name = "clipped-cross-entropy", epsilon = 1e-6 }
[methods.lion]
schedule = "cosine"
lr = { low = 1e-5, high = 1e-2, log = true }
optimizer = { name = "pytorch_optimizer:Lion", groups = [{ match = ["*.bias"], optimizer = "sgd" }] }
"""
BROKEN_METHODS = {
    "kind of a method": ("[methods.cosine]", '[methods.cosine]\nkind = "cosine"'),
    "schedule of a schedule": ("[schedules.fixed]", '[schedules.fixed]\nschedule = "fixed"'),
    "method that is no schedule": ("[methods.cosine]", "[methods.cosin]"),
    "unknown schedule": ('schedule = "cosine"', 'schedule = "cosin"'),
    "unknown loss": ('loss = { name = "clipped-cross-entropy"', 'loss = { name = "clipped"'),
    "unknown optimizer": ('optimizer = "adamw"', 'optimizer = "adamv"'),
    "parameter of another schedule": ('optimizer = "adamw"', 'optimizer = "adamw"\ngamma = 0.1'),
    "group without a pattern": ('match = "*.bias", ', ""),
    "no list of groups": ('[{ match = "*.bias", weight_decay = 0.0 }]', '{ match = "*.bias" }'),
    "one value to search": ("[32, 64]", "32"),
    "no rows": ("[32, 64]", "[0, 64]"),
    "no table to search": ('search = { "task.batch_size" = 64 }', "search = 3"),
}

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


@pytest.mark.parametrize("case", BROKEN_METHODS)
def test_unsound_methods_and_searches_are_not_valid(case: str) -> None:
    old, new = BROKEN_METHODS[case]
    assert old in METHODS
    assert is_valid(tomllib.loads(METHODS))
    assert parse_study(tomllib.loads(METHODS), "study.toml")
    data = tomllib.loads(METHODS.replace(old, new))
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
