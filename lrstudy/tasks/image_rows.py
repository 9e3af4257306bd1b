"""Image data sets with their rows sorted by digest, so that every source of them gives the same arrays.

The same images come in archives, Parquet files, folders and npz files, each in another order. Sorted they are
the same arrays, and one digest checks all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lrstudy.errors import DataError, Problem
from lrstudy.tasks.splits import Split, classification

DIGESTS: Final = "digests.json"
SPLITS: Final = ("train", "test")


@dataclass(frozen=True, slots=True)
class ImageRows:
    """The facts of an image data set apart from its files.

    ``shape``: channels, height, width. ``rows``: the images of ``train`` and ``test``; ``even``: so many of
    each class. ``digests``: ``rows_digest`` of the two splits; None where no copy was at hand to compute them
    from. ``names``: the classes in the order of their numbers, as folders may be called.
    """

    shape: tuple[int, int, int]
    rows: Mapping[str, int]
    digests: Mapping[str, str] | None
    even: bool
    names: tuple[str, ...]


def row_digests(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> list[bytes]:
    """Return the SHA-256 of each row's label (a byte) and pixels. images: (rows, channels, height, width)."""
    pixels = np.ascontiguousarray(images)
    return [
        hashlib.sha256(bytes([label]) + image.tobytes()).digest()  # a row at a time: copies stay small
        for image, label in zip(pixels, labels.tolist(), strict=True)
    ]


def rows_digest(digests: list[bytes]) -> str:
    """Return the digest of a split: the SHA-256 of its rows' digests in sorted order."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def sorted_rows(split: Split) -> tuple[Split, str]:
    """Return the split in the order of its rows' digests, and the digest of all."""
    digests = row_digests(split.inputs, split.targets)
    order = sorted(range(len(digests)), key=digests.__getitem__)
    return Split(split.inputs[order], split.targets[order]), rows_digest(digests)


def split_problems(
    known: ImageRows, name: str, split: Split, digest: str, place: str, remedy: str
) -> Iterator[Problem]:
    """Return what is wrong with a split that was read: its shape, its rows, its classes, its digest."""
    classes, shape, rows = len(known.names), tuple(split.inputs.shape[1:]), len(split.targets)
    if shape != known.shape:
        message = f"{name}: images are {sides(shape)}, should be {sides(known.shape)}"
        yield Problem(place, "", message, remedy)
        return
    labels = split.targets
    if rows and (labels.min() < 0 or labels.max() >= classes):
        message = f"{name}: labels go from {labels.min()} to {labels.max()}, should be 0 to {classes - 1}"
        yield Problem(place, "", message, remedy)
        return
    if rows != known.rows[name]:
        message = f"{name}: holds {rows:,} images, should be {known.rows[name]:,}"
        yield Problem(place, "", message + _classes_off(known, name, labels), remedy)
    elif off := _classes_off(known, name, labels):
        yield Problem(place, "", f"{name}: wrong labels{off}", remedy)
    elif known.digests is not None and digest != known.digests[name]:
        message = (
            f"{name}: an image or a label is not the original's (digest of the rows {digest[:12]}…, "
            f"should be {known.digests[name][:12]}…)"
        )
        yield Problem(place, "", message, f"{remedy} Images must not have been scaled or compressed as JPEG.")


def sides(shape: tuple[int, ...]) -> str:
    """Return a shape in words: 3×32×32."""
    return "×".join(map(str, shape))


def _classes_off(known: ImageRows, name: str, labels: NDArray[Any]) -> str:
    """Return the classes with another number of images than they should have, where all have the same."""
    if not known.even:
        return ""
    each = known.rows[name] // len(known.names)
    counts = np.bincount(labels, minlength=len(known.names))
    off = [f"class {k} ({known.names[k]}) {n:,}" for k, n in enumerate(counts.tolist()) if n != each]
    return f" ({', '.join(off[:4])}{', …' if len(off) > 4 else ''}; {each:,} of each)" if off else ""


def write_rows(folder: Path, splits: Mapping[str, tuple[Split, str]]) -> None:
    """Write sorted splits, and their digests beside them, into an existing folder."""
    for name, (split, _) in splits.items():
        np.savez(folder / f"{name}.npz", images=split.inputs, labels=split.targets.astype(np.uint8))
    content = {name: digest for name, (_, digest) in splits.items()}
    (folder / DIGESTS).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def row_files(folder: Path) -> tuple[Path, ...]:
    """Return the files that ``write_rows`` writes."""
    return (*(folder / f"{name}.npz" for name in SPLITS), folder / DIGESTS)


def read_rows(folder: Path, known: ImageRows, remedy: str) -> dict[str, Split]:
    """Read what ``write_rows`` wrote and check it. Raises ``DataError`` with what is wrong with each file."""
    found: dict[str, Split] = {}
    problems: list[Problem] = []
    try:
        digests = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(Problem(str(folder / DIGESTS), "", f"cannot be read: {error}", remedy)) from error
    for name in SPLITS:
        path = folder / f"{name}.npz"
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
                split = classification(arrays["images"], arrays["labels"])
            digest = rows_digest(row_digests(split.inputs, split.targets))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            problems.append(Problem(str(path), "", f"is truncated or damaged: {error}", remedy))
            continue
        wrong = list(split_problems(known, name, split, digest, str(path), remedy))
        if not wrong and digest != digests.get(name):
            wrong = [Problem(str(path), "", "is altered: its digest is not that of its fetching", remedy)]
        problems += wrong
        found[name] = split
    if problems:
        raise DataError(problems)
    return found
