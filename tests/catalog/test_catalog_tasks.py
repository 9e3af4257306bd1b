"""The tasks' declarations: sound in themselves, complete, and fast to load."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.catalog import REQUIRED
from lrstudy.catalog.augmentations import AUGMENTATIONS, read_augmentation
from lrstudy.catalog.task_parts import (
    CLASSIFICATION_LOSSES,
    DATASETS,
    LOSSES,
    MODELS,
    NORMALIZATIONS,
    OPTIMIZERS,
)
from lrstudy.lipschitz.constants import LOSSES as WITH_A_CONSTANT

GROUPS = {
    "datasets": DATASETS,
    "models": MODELS,
    "losses": LOSSES,
    "optimizers": OPTIMIZERS,
    "augmentations": AUGMENTATIONS,
    "normalizations": NORMALIZATIONS,
}
EVERY = [
    (name, p) for group in GROUPS.values() for name, component in group.items() for p in component.parameters
]


@pytest.mark.parametrize("group", GROUPS)
def test_names_are_unique_and_keys_are_names(group) -> None:
    for name, component in GROUPS[group].items():
        assert component.name == name
        assert component.doc.endswith(".")
        names = [parameter.name for parameter in component.parameters]
        assert len(set(names)) == len(names)
        assert "name" not in names  # a study file's own key


@pytest.mark.parametrize(("name", "parameter"), EVERY, ids=lambda value: getattr(value, "name", value))
def test_a_default_satisfies_its_own_declaration(name, parameter) -> None:
    assert parameter.default is not REQUIRED, "every part runs as it is named"
    assert parameter.problem(parameter.default) is None
    assert parameter.doc
    assert not parameter.doc.endswith(".")  # messages add it


def test_every_loss_has_a_lipschitz_constant() -> None:
    assert set(LOSSES) == set(WITH_A_CONSTANT)
    assert set(LOSSES) > CLASSIFICATION_LOSSES


def test_an_augmentation_takes_its_one_value_after_a_colon() -> None:
    assert all(len(component.parameters) == 1 for component in AUGMENTATIONS.values())
    assert read_augmentation("rotate") == ("rotate", 15.0)
    assert read_augmentation("rotate:5") == ("rotate", 5.0)
    assert read_augmentation("crop:8") == ("crop", 8)
    assert read_augmentation("crop:0") == "padding must be at least 1"
    assert read_augmentation("flip:") == "probability must be a number"


@given(
    st.text() | st.sampled_from(list(AUGMENTATIONS)).flatmap(lambda n: st.text().map(lambda t: f"{n}:{t}"))
)
def test_any_text_is_read_or_refused(text) -> None:
    found = read_augmentation(text)
    if isinstance(found, tuple):
        assert AUGMENTATIONS[found[0]].parameters[0].problem(found[1]) is None
    else:
        assert found


def test_the_catalog_loads_nothing_heavy() -> None:
    code = "import sys, lrstudy.catalog.task_parts; print({'torch', 'numpy', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_torchvision_s_models_are_known() -> None:
    from torchvision import models

    from lrstudy.catalog.torchvision_names import TORCHVISION_MODELS

    assert list(TORCHVISION_MODELS) == sorted(models.list_models(module=models))
