"""CIFAR-10 images in a file that fits a small transfer: lossless WebP, checked by a digest on arrival.

PNG bytes of 20,000 images are 45 MB, WebP's 36 MB. Needs Pillow; packing also needs the data set
(``lrstudy data fetch cifar10``) and what reads it.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lrstudy.tasks import Split, TaskData
from lrstudy.tasks.image_rows import row_digests, rows_digest
from lrstudy.tasks.splits import classification

CHUNK_BYTES = 45_000_000
_SEED = 0


def pack(folder: Path, train: int, test: int) -> list[Path]:
    """Write so many training and test images, equally many of each class; return the files."""
    from lrstudy.tasks.datasets import load_raw

    raw = load_raw(SimpleNamespace(name="cifar10", options={}, is_users_own=False), _SEED, None, None)
    assert raw.test is not None
    folder.mkdir(parents=True, exist_ok=True)
    return [
        path
        for name, split, rows in (("train", raw.train, train), ("test", raw.test, test))
        for path in _write(folder, name, _of_each_class(split, rows))
    ]


def _of_each_class(split: Split, rows: int) -> Split:
    draw, classes = np.random.default_rng(_SEED), np.unique(split.targets)
    chosen = [
        draw.permutation(np.flatnonzero(split.targets == one))[: rows // len(classes)] for one in classes
    ]
    order = np.sort(np.concatenate(chosen))
    return Split(split.inputs[order], split.targets[order])


def _write(folder: Path, name: str, split: Split) -> list[Path]:
    with ThreadPoolExecutor() as threads:
        encoded = list(threads.map(_encode, split.inputs))
    for old in folder.glob(f"{name}-*.npz"):
        old.unlink()
    paths, start = [], 0
    while start < len(encoded):
        stop, size = start, 0
        while stop < len(encoded) and size + len(encoded[stop]) <= CHUNK_BYTES:
            size += len(encoded[stop])
            stop += 1
        paths.append(folder / f"{name}-{len(paths)}.npz")
        np.savez(
            paths[-1],
            webp=np.frombuffer(b"".join(encoded[start:stop]), np.uint8),
            lengths=np.array([len(image) for image in encoded[start:stop]]),
            labels=split.targets[start:stop].astype(np.uint8),
            digest=np.array(_digest(split.inputs[start:stop], split.targets[start:stop])),
        )
        start = stop
    return paths


def _encode(image: NDArray[np.uint8]) -> bytes:
    written = io.BytesIO()
    pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
    Image.fromarray(pixels).save(written, "WEBP", lossless=True, quality=100, method=4)
    return written.getvalue()


def _decode(encoded: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).transpose(2, 0, 1)


def _digest(images: NDArray[np.uint8], labels: NDArray[Any]) -> str:
    return rows_digest(row_digests(images, labels))


def unpack(folder: Path, validation: float = 0.1) -> TaskData:
    """Read what ``pack`` wrote, with a share of the training images to validate on.

    Raises ``OSError`` or ``ValueError`` for files that are missing or hold other images than were packed.
    """
    train, test = (_read(folder, name) for name in ("train", "test"))
    order = np.random.default_rng(_SEED).permutation(len(train.targets))
    held = round(len(order) * validation)
    splits = [Split(train.inputs[rows], train.targets[rows]) for rows in (order[held:], order[:held])]
    return TaskData("cifar10", *splits, test, classes=10, image=True, full_scale=255.0)


def _read(folder: Path, name: str) -> Split:
    images: list[NDArray[np.uint8]] = []
    labels: list[NDArray[np.uint8]] = []
    for path in sorted(folder.glob(f"{name}-*.npz")):
        with np.load(path, allow_pickle=False) as stored:
            ends = np.cumsum(stored["lengths"])
            whole = stored["webp"].tobytes()
            encoded = [whole[end - length : end] for end, length in zip(ends, stored["lengths"], strict=True)]
            with ThreadPoolExecutor() as threads:
                images.append(np.stack(list(threads.map(_decode, encoded))))
            labels.append(stored["labels"])
            if _digest(images[-1], labels[-1]) != str(stored["digest"]):
                raise ValueError(f"{path} holds other images or labels than were packed")
    if not images:
        raise FileNotFoundError(f"{folder} holds no {name}-0.npz: write it with --pack")
    return classification(np.concatenate(images), np.concatenate(labels))
