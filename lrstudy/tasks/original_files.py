"""MNIST's original files, made of its images: where the rows are in the original order, the same bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np

from lrstudy.tasks.splits import Split

# The idx format: two zero bytes, the type (8: unsigned bytes), the number of dimensions; then their sizes.
_BYTES: Final = 0x0800
_PREFIXES: Final = {"train": "train", "test": "t10k"}


def idx_files(splits: Mapping[str, Split]) -> dict[str, bytes]:
    """Return the four files of MNIST's format. Images: uint8 (rows, 1, height, width)."""
    files = {}
    for name, split in splits.items():
        images, labels = split.inputs[:, 0], split.targets.astype(np.uint8)
        head = struct.pack(">4I", _BYTES + 3, *images.shape)
        files[f"{_PREFIXES[name]}-images-idx3-ubyte"] = head + np.ascontiguousarray(images).tobytes()
        files[f"{_PREFIXES[name]}-labels-idx1-ubyte"] = (
            struct.pack(">2I", _BYTES + 1, len(labels)) + labels.tobytes()
        )
    return files
