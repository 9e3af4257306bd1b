"""Data sets that must be fetched: which files they consist of, where they live, and reading them.

Layout and readers are torchvision's, so a folder that torchvision filled serves as a root. Every file is
checked against its MD5 sum before it is read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import numpy as np

from lrstudy.errors import DataError, MissingDataError, Problem
from lrstudy.tasks.image_rows import ImageRows, read_rows
from lrstudy.tasks.known_images import KNOWN_IMAGES
from lrstudy.tasks.splits import RawData, Split, classification

Value = TypeVar("Value")

ROOT_VARIABLE: Final = "LRSTUDY_DATA"


@dataclass(frozen=True, slots=True)
class Archive:
    """A data set on disk: ``files`` (name → MD5 of the content) in ``folder`` below the root.

    ``torchvision`` names the class that reads it. ``downloads`` are the files it is offered as, each with
    its mirrors: one ``.gz`` per file, or a single tar archive of the folder.
    """

    name: str
    classes: int
    torchvision: str
    folder: str
    files: Mapping[str, str]
    downloads: Mapping[str, tuple[str, ...]]
    known: ImageRows

    @property
    def rows_folder(self) -> str:
        """The folder below the root for images that did not come in the original files."""
        return f"{self.name}-rows"

    @property
    def tar(self) -> str | None:
        """The name of the tar archive, if it comes as one."""
        return next((name for name in self.downloads if name.endswith(".tar.gz")), None)


def _mnist(name: str, reader: str, mirrors: tuple[str, ...], sums: tuple[str, ...]) -> Archive:
    parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = {f"{part}-ubyte": md5 for part, md5 in zip(parts, sums, strict=True)}
    downloads = {f"{file}.gz": tuple(f"{mirror}{file}.gz" for mirror in mirrors) for file in files}
    return Archive(name, 10, reader, f"{reader}/raw", _frozen(files), _frozen(downloads), KNOWN_IMAGES[name])


def _cifar(name: str, classes: int, reader: str, folder: str, tar: str, files: Mapping[str, str]) -> Archive:
    downloads = {tar: (f"https://www.cs.toronto.edu/~kriz/{tar}",)}
    return Archive(name, classes, reader, folder, _frozen(files), _frozen(downloads), KNOWN_IMAGES[name])


def _frozen(mapping: Mapping[str, Value]) -> Mapping[str, Value]:
    return MappingProxyType(dict(mapping))


_ALL: Final = (
    _mnist(
        "mnist",
        "MNIST",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/",),
        (
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    ),
    _mnist(
        "fashion-mnist",
        "FashionMNIST",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        (
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
    ),
    _cifar(
        "cifar10",
        10,
        "CIFAR10",
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
    ),
    _cifar(
        "cifar100",
        100,
        "CIFAR100",
        "cifar-100-python",
        "cifar-100-python.tar.gz",
        {
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "meta": "7973b15100ade9c7d40fb424638fde48",
        },
    ),
)

ARCHIVES: Final[dict[str, Archive]] = {archive.name: archive for archive in _ALL}


def data_root(root: Path | None = None) -> Path:
    """Return the data folder: ``root``, else ``$LRSTUDY_DATA``, else ``lrstudy`` in the user's cache."""
    if root is not None:
        return root
    if given := os.environ.get(ROOT_VARIABLE):
        return Path(given).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "lrstudy"


def md5_of(path: Path) -> str:
    """The MD5 sum of a file, as the data sets' makers publish it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def file_problems(archive: Archive, folder: Path, remedy: str) -> Iterator[Problem]:
    """Return a problem for each of a data set's files in ``folder`` that is missing or wrong."""
    for name, expected in archive.files.items():
        path = folder / name
        if not path.is_file():
            yield Problem(str(path), "", "is missing", remedy)
        elif (found := md5_of(path)) != expected:
            message = f"is truncated or altered (MD5 {found}, should be {expected})"
            yield Problem(str(path), "", message, remedy)


def fetch_command(name: str, root: Path | None) -> str:
    """Return the command that fetches a data set."""
    place = f" --root {root}" if root is not None else ""
    return f"lrstudy data fetch {name}{place}"


def load_archive(name: str, root: Path | None) -> RawData:
    """A fetched data set, checked and read. Raises ``DataError`` with what is wrong with each file."""
    archive, place = ARCHIVES[name], data_root(root)
    folder = place / archive.folder
    command = fetch_command(name, root)
    rows = place / archive.rows_folder
    if not folder.is_dir() and rows.is_dir():
        found = read_rows(rows, archive.known, f"Fetch it again: {command} --from DIR.")
        return RawData(found["train"], classes=archive.classes, image=True, test=found["test"])
    if not folder.is_dir():
        remedy = f"Fetch it: {command} (without a network: {command} --from DIR)."
        raise MissingDataError(Problem(str(folder), "", f"does not hold the data set {name!r}", remedy))
    problems = list(file_problems(archive, folder, f"Fetch it again: {command}."))
    if problems:
        raise DataError(problems)
    return RawData(
        _read(archive, place, train=True),
        classes=archive.classes,
        image=True,
        test=_read(archive, place, train=False),
    )


def _read(archive: Archive, root: Path, *, train: bool) -> Split:
    from torchvision import datasets

    made = getattr(datasets, archive.torchvision)(root, train=train)
    if archive.tar is None:
        return classification(made.data.numpy()[:, None], made.targets.numpy())
    return classification(made.data.transpose(0, 3, 1, 2), np.asarray(made.targets))
