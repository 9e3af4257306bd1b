"""Reads image data sets as people have them: Hugging Face's Parquet, folders by class, npz."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lrstudy.errors import DataError, Problem
from lrstudy.safe_text import safe_line
from lrstudy.tasks.image_rows import ImageRows, sides
from lrstudy.tasks.splits import Split, classification

_IMAGE_COLUMNS: Final = ("image", "img")
_LABEL_COLUMNS: Final = ("label", "fine_label", "labels")
_SPLITS: Final = {"train": ("train", "training"), "test": ("test", "testing")}
# The folders in which the Hugging Face Hub has the configurations of such sets.
_CONFIGURATIONS: Final = ("data", "plain_text", "cifar100", "mnist", "fashion_mnist", "default")
_PICTURES: Final = frozenset({".png", ".bmp", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff"})
_ARRAYS: Final = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
_SEARCHED: Final = "Get the file again, or leave it out where it is no part of the data set."
Array = NDArray[Any]


def read_images(source: Path, known: ImageRows) -> dict[str, Split] | None:
    """Return the splits ``train`` and ``test`` of a folder; None where none of the three forms is in it.

    Images become uint8 (rows, channels, height, width). Raises ``DataError`` naming file and row for what
    cannot be read.
    """
    places = [source, *(source / name for name in _CONFIGURATIONS)]
    for place in (place for place in places if place.is_dir()):
        files = {name: _parquet_files(place, words) for name, words in _SPLITS.items()}
        if any(files.values()) or any(place.glob("*.parquet")):
            return _parquet_splits(place, files, known)
        if (folders := _split_folders(place)) is not None:
            return {name: _class_folders(folder, known) for name, folder in folders.items()}
    packed = sorted(source.glob("*.npz"))
    return _npz(packed, known) if packed else None


def _parquet_files(place: Path, words: tuple[str, ...]) -> list[Path]:
    """Return the files of a split: ``train-*.parquet``, or those in a folder of its name."""
    named = [file for file in place.glob("*.parquet") if file.name.startswith(words)]
    return sorted(named or (file for word in words for file in (place / word).glob("*.parquet")))


def _parquet_splits(place: Path, files: Mapping[str, list[Path]], known: ImageRows) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    problems: list[Problem] = []
    for name, its_files in files.items():
        if not its_files:
            remedy = f"Name the files {name}-00000-of-00001.parquet and so on."
            raise DataError(
                Problem(str(place), "", f"does not hold a Parquet file of the {name} split", remedy)
            )
        try:
            splits[name] = _parquet(its_files, known)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return splits


def _parquet(files: Sequence[Path], known: ImageRows) -> Split:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images: list[Array] = []
    labels: list[Array] = []
    problems = []
    for file in files:
        try:
            table = pq.read_table(file)
        except (OSError, pa.ArrowException) as error:
            text = f"is truncated or damaged: {_cause(error)}"
            problems.append(Problem(str(file), "", text, _SEARCHED))
            continue
        image, label = (_column(table, names, file) for names in (_IMAGE_COLUMNS, _LABEL_COLUMNS))
        try:
            labels.append(_whole(table[label].to_numpy()))
            values = table[image].to_pylist()
            images += [_decoded(value, known, file, f"row {row}") for row, value in enumerate(values)]
        except (TypeError, ValueError) as error:
            problems.append(Problem(str(file), label, f"is no column of whole numbers: {error}", _SEARCHED))
        except DataError as error:
            problems += error.problems
    if not images and not problems:
        problems.append(Problem(str(files[0].parent), "", f"{files[0].name} holds no images", _SEARCHED))
    if problems:
        raise DataError(problems)
    return classification(np.stack(images), np.concatenate(labels))


def _whole(labels: Array) -> Array:
    """Return labels as whole numbers; raises ``ValueError`` for one that is none, or missing."""
    numbers = labels.astype(np.float64)
    if not (np.isfinite(numbers) & (numbers == np.rint(numbers))).all():
        raise ValueError("a label is missing or has a fraction")
    return numbers.astype(np.int64)


def _cause(error: Exception) -> str:
    return safe_line(str(error)).rstrip(".")


def _column(table: Any, names: Sequence[str], file: Path) -> str:
    found = next((name for name in names if name in table.column_names), None)
    if found is None:
        has = ", ".join(table.column_names)
        message = f"has no column {' or '.join(names)}; its columns: {has}"
        raise DataError(Problem(str(file), "", message, "Give the files of this data set."))
    return found


def _decoded(value: Any, known: ImageRows, file: Path, place: str) -> Array:
    """Return an image of bytes, or of a mapping that holds them, as (channels, height, width)."""
    from PIL import Image

    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        text = f"holds {type(content).__name__}, not the bytes of an image"
        raise DataError(Problem(str(file), place, text, _SEARCHED))
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = _pixels(np.asarray(image.convert("L" if known.shape[0] == 1 else "RGB")))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        text = f"is no image that can be read: {_cause(error)}"
        raise DataError(Problem(str(file), place, text, _SEARCHED)) from error
    if pixels.shape != known.shape:
        text = f"is {sides(pixels.shape)}, should be {sides(known.shape)}"
        raise DataError(Problem(str(file), place, text, "Give the images in their original size."))
    return pixels


def _pixels(image: Array) -> Array:
    """(height, width) or (height, width, channels) → (channels, height, width)."""
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)


def _split_folders(place: Path) -> dict[str, Path] | None:
    found = {
        name: folder for name, words in _SPLITS.items() for word in words if (folder := place / word).is_dir()
    }
    return found if len(found) == 2 else None


def _class_folders(folder: Path, known: ImageRows) -> Split:
    images: list[Array] = []
    labels: list[int] = []
    for label, place in _classes(folder, known):
        for file in sorted(place.iterdir()):
            if file.suffix.lower() not in _PICTURES:
                continue
            images.append(_decoded(file.read_bytes(), known, file, ""))
            labels.append(label)
    if not images:
        raise DataError(
            Problem(str(folder), "", "holds no images", "Give a folder of images for each class.")
        )
    return classification(np.stack(images), np.array(labels))


def _classes(folder: Path, known: ImageRows) -> Iterator[tuple[int, Path]]:
    """Yield the number and the folder of each class: called by its number or by its name."""
    numbers = {_plain(name): number for number, name in enumerate(known.names)}
    numbers |= {str(number): number for number in range(len(known.names))}
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
        number = numbers.get(_plain(place.name))
        if number is None:
            message = (
                f"is the folder of no class; they are 0 to {len(known.names) - 1}, or {known.names[0]}, …"
            )
            raise DataError(Problem(str(place), "", message, "Rename the folder."))
        yield number, place


def _plain(name: str) -> str:
    """Return a class's name without the marks that people write differently."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _npz(files: Sequence[Path], known: ImageRows) -> dict[str, Split]:
    """Read one npz with four arrays, named as Keras or MedMNIST names them."""
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise DataError(Problem(str(files[0].parent), "", f"holds several npz files: {names}", "Leave one."))
    file = files[0]
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            return {name: _npz_split(file, arrays, names, known) for name, names in _ARRAYS.items()}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        text = f"is truncated or damaged: {_cause(error)}"
        raise DataError(Problem(str(file), "", text, _SEARCHED)) from error


def _npz_split(file: Path, arrays: Any, names: tuple[tuple[str, str], ...], known: ImageRows) -> Split:
    pair = next((pair for pair in names if set(pair) <= set(arrays.files)), None)
    if pair is None:
        message = f"has no arrays {names[0][0]} and {names[0][1]}; it has {', '.join(arrays.files)}"
        raise DataError(Problem(str(file), "", message, "Name its arrays so."))
    images, labels = arrays[pair[0]], arrays[pair[1]].squeeze()
    if images.dtype != np.uint8:
        message = f"is {images.dtype}, not uint8"
        raise DataError(Problem(str(file), pair[0], message, "Give the pixels as they were, 0 to 255."))
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1:] != known.shape:
        images = images.transpose(0, 3, 1, 2)
    if labels.ndim != 1 or len(labels) != len(images):
        message = f"has shape {labels.shape}, not one label for each of {len(images):,} images"
        raise DataError(Problem(str(file), pair[1], message, "Give a label for each image."))
    try:
        return classification(images, _whole(labels))
    except ValueError as error:
        text = f"is no array of whole numbers: {error}"
        raise DataError(Problem(str(file), pair[1], text, "Give a label for each image.")) from error
