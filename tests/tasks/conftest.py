"""Specs, tiny data sets and files in the original formats."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
import sys
import tarfile
import textwrap
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from task_specs import make_task

from lrstudy.tasks import Split, TaskData
from lrstudy.tasks.archives import ARCHIVES


@pytest.fixture
def task():
    """A builder of ``TaskSpec`` with small defaults."""
    return make_task


@pytest.fixture
def image_data():
    """A builder of ``TaskData`` with random images."""

    def build(
        rows: int = 70, channels: int = 1, height: int = 8, width: int = 8, classes: int = 3
    ) -> TaskData:
        rng = np.random.default_rng(0)

        def split(count: int) -> Split:
            inputs = rng.integers(0, 256, (count, channels, height, width), dtype=np.uint8)
            return Split(inputs, np.arange(count) % classes)

        return TaskData("random", split(rows), split(11), split(13), classes=classes, image=True)

    return build


@pytest.fixture
def table_data():
    """A builder of ``TaskData`` with random tables; ``outputs``: a regression with so many targets."""

    def build(rows: int = 70, features: int = 5, classes: int = 3, outputs: int | None = None) -> TaskData:
        rng = np.random.default_rng(1)

        def split(count: int) -> Split:
            inputs = (3 + 2 * rng.standard_normal((count, features))).astype(np.float32)
            if outputs is None:
                return Split(inputs, np.arange(count) % classes)
            return Split(inputs, rng.standard_normal((count, outputs)).astype(np.float32))

        return TaskData(
            "random",
            split(rows),
            split(11),
            split(13),
            classes=classes if outputs is None else None,
            image=False,
        )

    return build


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a module and have it importable; returns its name."""

    def write(code: str, name: str = "own_parts") -> str:
        sys.modules.pop(name, None)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(code))
        return name

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def idx_bytes(array: np.ndarray) -> bytes:
    """MNIST's format: two zeros, the type (8: unsigned bytes), the number of sides, the sides, the bytes."""
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest.fixture
def mnist_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of small ``.gz`` files in MNIST's format, whose sums stand in for the real ones."""
    rng = np.random.default_rng(2)
    sizes = {"train": 30, "t10k": 12}
    contents = {}
    for part, rows in sizes.items():
        contents[f"{part}-images-idx3-ubyte"] = idx_bytes(rng.integers(0, 256, (rows, 28, 28)))
        contents[f"{part}-labels-idx1-ubyte"] = idx_bytes(np.arange(rows) % 3)
    folder = tmp_path / "originals"
    folder.mkdir()
    for name, data in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(data))
    sums = MappingProxyType({name: md5(contents[name]) for name in ARCHIVES["mnist"].files})
    monkeypatch.setitem(ARCHIVES, "mnist", replace(ARCHIVES["mnist"], files=sums, classes=3))
    return folder


@pytest.fixture
def cifar_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small ``cifar-10-python.tar.gz``, whose sums stand in for the real ones."""
    from torchvision.datasets import CIFAR10

    rng = np.random.default_rng(3)
    contents = {}
    for name in ARCHIVES["cifar10"].files:
        rows: dict[str, Any] = {
            "data": rng.integers(0, 256, (6, 3072), dtype=np.uint8),
            "labels": [0, 1, 2, 3, 4, 5],
        }
        contents[name] = pickle.dumps({"label_names": list("abcdefghij")} if name == "batches.meta" else rows)
    folder = tmp_path / "originals"
    unpacked = folder / "unpacked" / "cifar-10-batches-py"
    unpacked.mkdir(parents=True)
    for name, data in contents.items():
        (unpacked / name).write_bytes(data)
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(unpacked, "cifar-10-batches-py")
    sums = {name: md5(data) for name, data in contents.items()}
    monkeypatch.setitem(ARCHIVES, "cifar10", replace(ARCHIVES["cifar10"], files=MappingProxyType(sums)))
    monkeypatch.setattr(
        CIFAR10, "train_list", [[name, sums[name]] for name in sums if name.startswith("data")]
    )
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": sums["batches.meta"]})
    return folder
