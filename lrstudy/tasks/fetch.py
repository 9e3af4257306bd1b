"""Getting, listing and verifying data sets. Nothing is put in place before all of it has been checked."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, Final, Literal

from lrstudy.catalog.task_parts import DATASETS
from lrstudy.errors import DataError, Problem, did_you_mean
from lrstudy.tasks.archives import ARCHIVES, ROOT_VARIABLE, Archive, data_root, fetch_command, file_problems

State = Literal["shipped", "present", "incomplete", "missing"]

# What reading a compressed file raises when its end is missing or its middle is damaged.
_UNREADABLE: Final = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError)


@dataclass(frozen=True, slots=True)
class DataSetState:
    """A data set of the catalog and whether it is there.

    ``shipped`` ones come with scikit-learn. ``present`` says that all files exist (``verify_data`` reads
    them), ``incomplete`` that some do. ``folder`` is where its files are or belong.
    """

    name: str
    doc: str
    source: str
    state: State
    folder: Path | None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A data set that is in place, every file verified; ``already``: it was before."""

    name: str
    folder: Path | None
    files: tuple[Path, ...]
    already: bool


def list_data(root: Path | None = None) -> list[DataSetState]:
    """Every data set of the catalog, in its order. Reads no file."""
    states = []
    for name, component in DATASETS.items():
        folder = data_root(root) / ARCHIVES[name].folder if name in ARCHIVES else None
        state: State = "shipped" if folder is None else _presence(ARCHIVES[name], folder)
        states.append(DataSetState(name, component.doc, component.source, state, folder))
    return states


def _presence(archive: Archive, folder: Path) -> State:
    there = [(folder / file).is_file() for file in archive.files]
    return "present" if all(there) else "incomplete" if any(there) else "missing"


def verify_data(name: str, root: Path | None = None) -> Fetched:
    """Read every file of a data set and compare its checksum. Raises ``DataError`` with all that is wrong."""
    archive = _archive(name)
    if archive is None:
        return Fetched(name, None, (), already=True)
    folder = data_root(root) / archive.folder
    problems = list(file_problems(archive, folder, f"Fetch it: {fetch_command(name, root)}."))
    if problems:
        raise DataError(problems)
    return _fetched(archive, folder, already=True)


def fetch_data(name: str, root: Path | None = None, source: Path | None = None) -> Fetched:
    """Put a data set in place, from the network or from the folder ``source``, every file verified.

    ``source`` holds the files as their makers offer them, or unpacked. A data set that is in place and
    sound is left alone. Raises ``DataError`` with all that is wrong; the root is then as it was.
    """
    archive = _archive(name)
    if archive is None:
        return Fetched(name, None, (), already=True)
    place = data_root(root)
    folder = place / archive.folder
    if not list(file_problems(archive, folder, "")):
        return _fetched(archive, folder, already=True)
    with _stage(place) as stage:
        if source is None:
            source = stage / "downloads"
            _download(archive, source)
        new = stage / "new"
        new.mkdir()
        _collect(archive, source, new)
        problems = list(file_problems(archive, new, "Get the file again from its makers."))
        if problems:
            raise DataError([_from_source(problem, source) for problem in problems])
        _put(new, folder)
    return _fetched(archive, folder, already=False)


def _archive(name: str) -> Archive | None:
    if name not in DATASETS:
        hint = did_you_mean(name, list(DATASETS))
        raise DataError(Problem("command line", "NAME", "is not a data set", hint, name))
    return ARCHIVES.get(name)


def _fetched(archive: Archive, folder: Path, *, already: bool) -> Fetched:
    return Fetched(archive.name, folder, tuple(folder / file for file in archive.files), already)


@contextmanager
def _stage(root: Path) -> Iterator[Path]:
    """A folder in the root (so that moving out of it is a rename) that is always removed."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".fetch-", dir=root))
    except OSError as error:
        remedy = f"Choose another folder by --root or {ROOT_VARIABLE}."
        raise DataError(Problem(str(root), "", f"cannot be written: {error.strerror}", remedy)) from error
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _download(archive: Archive, folder: Path) -> None:
    from torchvision.datasets.utils import download_url

    problems = []
    for file, urls in archive.downloads.items():
        causes = []
        for url in urls:
            try:
                download_url(url, folder, file)
                break
            except (OSError, RuntimeError, HTTPException) as error:  # what urllib and torchvision raise
                causes.append(f"{url}: {error}")
        else:
            remedy = f"Without a network: lrstudy data fetch {archive.name} --from DIR, DIR holding {file}."
            problems.append(Problem(file, "", f"cannot be downloaded ({'; '.join(causes)})", remedy))
    if problems:
        raise DataError(problems)


def _collect(archive: Archive, source: Path, new: Path) -> None:
    """Copy or unpack a data set's files from ``source`` into ``new``; lists every file it cannot."""
    if not source.is_dir():
        raise DataError(Problem(str(source), "", "is not a folder", "Name the folder that holds the files."))
    tar = None if archive.tar is None else _find(archive, source, archive.tar)
    if tar is not None:
        _unpack(archive, tar, new)
        return
    problems = []
    for file in archive.files:
        found = _find(archive, source, file) or _find(archive, source, f"{file}.gz")
        if found is None:
            offered = archive.tar or f"{file}.gz"
            message = f"does not hold {file} or {offered}"
            problems.append(Problem(str(source), "", message, "Put the original file there."))
            continue
        try:
            with _open(found) as packed, (new / file).open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        except _UNREADABLE as error:
            problems.append(_unreadable(found, error))
    if problems:
        raise DataError(problems)


def _find(archive: Archive, source: Path, file: str) -> Path | None:
    """A file in ``source`` itself, or where a root or an unpacked archive would have it."""
    folders = (source, source / archive.folder, source / Path(archive.folder).name)
    return next((folder / file for folder in folders if (folder / file).is_file()), None)


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _unpack(archive: Archive, tar: Path, new: Path) -> None:
    """The data set's files out of its tar archive, by their names alone: no path in it is followed."""
    try:
        with tarfile.open(tar) as members:
            for member in members:
                name = Path(member.name).name
                content = members.extractfile(member) if name in archive.files else None
                if content is not None:
                    with content, (new / name).open("wb") as unpacked:
                        shutil.copyfileobj(content, unpacked)
    except _UNREADABLE as error:
        raise DataError(_unreadable(tar, error)) from error


def _unreadable(path: Path, error: Exception) -> Problem:
    return Problem(str(path), "", f"is truncated or damaged: {error}", "Get the file again from its makers.")


def _from_source(problem: Problem, source: Path) -> Problem:
    """The problem as one of the user's folder: the folder that it was found in is gone."""
    return Problem(str(source), Path(problem.where).name, problem.message, problem.remedy)


def _put(new: Path, folder: Path) -> None:
    """Move the files into place: all at once, or one whole file after the other where the folder exists."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        new.rename(folder)
    except OSError:  # it exists, with an incomplete or damaged data set
        for file in new.iterdir():
            file.replace(folder / file.name)
