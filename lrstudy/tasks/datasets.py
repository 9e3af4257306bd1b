"""Loading data sets by name: scikit-learn's, torchvision's, and users' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lrstudy.catalog.task_parts import DATASETS
from lrstudy.tasks.archives import ARCHIVES, load_archive
from lrstudy.tasks.part_options import complete_options
from lrstudy.tasks.splits import RawData, classification, regression

if TYPE_CHECKING:
    from lrstudy.spec import ComponentSpec


def load_raw(
    spec: ComponentSpec, seed: int, root: Path | None, columns: tuple[str, str] | None = None
) -> RawData:
    """The data set that ``spec`` names, as it is. Raises ``DataError`` if it is missing or damaged."""
    if ":" in spec.name:
        from lrstudy.tasks.user_code import make_data

        return make_data(spec, seed, columns)
    component, _ = complete_options("dataset", spec.name, spec.options, DATASETS)
    if component.name in ARCHIVES:
        return load_archive(component.name, root)
    return SHIPPED[component.name]()


def _load(name: str) -> Any:
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")()


def _digits() -> RawData:
    bunch = _load("digits")
    images = bunch.images.astype(np.uint8)[:, None]  # whole numbers from 0 to 16
    return RawData(classification(images, bunch.target), classes=10, image=True, full_scale=16.0)


def _table(name: str) -> Callable[[], RawData]:
    def load() -> RawData:
        bunch = _load(name)
        rows = classification(bunch.data.astype(np.float32), bunch.target)
        return RawData(rows, classes=len(bunch.target_names), image=False)

    return load


def _diabetes() -> RawData:
    bunch = _load("diabetes")
    return RawData(regression(bunch.data, bunch.target), classes=None, image=False)


SHIPPED: Final[Mapping[str, Callable[[], RawData]]] = MappingProxyType(
    {
        "digits": _digits,
        "iris": _table("iris"),
        "wine": _table("wine"),
        "breast-cancer": _table("breast_cancer"),
        "diabetes": _diabetes,
    }
)
"""Data sets that come with scikit-learn: nothing to download."""
