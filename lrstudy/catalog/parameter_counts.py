"""The trainable parameters of every built-in model with its default options, on each data set that it fits.

Kept as data because building the models takes seconds; a test builds and compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_IMAGES: Final = ("mnist", "fashion-mnist", "cifar10", "cifar100")
_CLASSES: Final = ("digits", "iris", "wine", "breast-cancer", *_IMAGES)


def _counts(data_sets: tuple[str, ...], *counts: int) -> Mapping[str, int]:
    return MappingProxyType(dict(zip(data_sets, counts, strict=True)))


PARAMETER_COUNTS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "softmax-regression": _counts(_CLASSES, 650, 15, 42, 62, 7_850, 7_850, 30_730, 307_300),
        "logistic-regression": _counts(("breast-cancer",), 31),
        "linear-regression": _counts(("diabetes",), 11),
        "mlp": _counts(
            ("digits", "iris", "wine", "breast-cancer", "diabetes", *_IMAGES),
            *(9_610, 1_027, 2_179, 4_226, 1_537, 101_770, 101_770, 394_634, 406_244),
        ),
        "paper-cnn": _counts(_IMAGES, 730_346, 730_346, 943_914, 955_524),
        "resnet-8-v1": _counts(_IMAGES, 77_562, 77_562, 77_850, 83_700),
        "resnet-20-v1": _counts(_IMAGES, 271_994, 271_994, 272_282, 278_132),
        "resnet-56-v2": _counts(_IMAGES, 1_657_402, 1_657_402, 1_657_690, 1_680_820),
        "resnet-164-v2": _counts(_IMAGES, 4_925_242, 4_925_242, 4_925_530, 4_948_660),
        "densenet-40-12": _counts(_IMAGES, 1_019_434, 1_019_434, 1_019_722, 1_060_132),
    }
)
"""Model → data set → count. ``logistic-regression`` has one output, for binary cross-entropy."""
