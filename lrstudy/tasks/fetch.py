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
from lrstudy.tasks.image_files import read_images
from lrstudy.tasks.image_rows import read_rows, row_files, sorted_rows, split_problems, write_rows
from lrstudy.tasks.original_files import idx_files
from lrstudy.tasks.splits import Split

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
    """A data set that is in place, every file verified; ``already``: it was before.

    ``by_numbers``: its images were checked by their numbers and classes alone, as no digest of them is known.
    """

    name: str
    folder: Path | None
    files: tuple[Path, ...]
    already: bool
    by_numbers: bool = False


def list_data(root: Path | None = None) -> list[DataSetState]:
    """Every data set of the catalog, in its order. Reads no file."""
    states = []
    for name, component in DATASETS.items():
        state: State = "shipped"
        folder = None
        if name in ARCHIVES:
            state, folder = _presence(ARCHIVES[name], data_root(root))
        states.append(DataSetState(name, component.doc, component.source, state, folder))
    return states


def _presence(archive: Archive, root: Path) -> tuple[State, Path]:
    """Return the state of a data set, and its folder: that of its rows where the original files are not."""
    folder, rows = root / archive.folder, root / archive.rows_folder
    if rows.is_dir() and not folder.is_dir():
        return ("present" if all(file.is_file() for file in row_files(rows)) else "incomplete"), rows
    there = [(folder / file).is_file() for file in archive.files]
    return ("present" if all(there) else "incomplete" if any(there) else "missing"), folder


def verify_data(name: str, root: Path | None = None) -> Fetched:
    """Read every file of a data set and compare its checksum. Raises ``DataError`` with all that is wrong."""
    archive = _archive(name)
    if archive is None:
        return Fetched(name, None, (), already=True)
    folder, rows = data_root(root) / archive.folder, data_root(root) / archive.rows_folder
    if rows.is_dir() and not folder.is_dir():
        read_rows(rows, archive.known, f"Fetch it again: {fetch_command(name, root)} --from DIR.")
        return _fetched_rows(archive, rows, already=True)
    problems = list(file_problems(archive, folder, f"Fetch it: {fetch_command(name, root)}."))
    if problems:
        raise DataError(problems)
    return _fetched(archive, folder, already=True)


def fetch_data(name: str, root: Path | None = None, source: Path | None = None) -> Fetched:
    """Put a data set in place, from the network or from the folder ``source``, every file verified.

    ``source`` holds the files as their makers offer them, or unpacked; or the images in another form (see
    ``read_images``). A data set that is in place and sound is left alone. Raises ``DataError`` with all that
    is wrong; the root is then as it was.
    """
    archive = _archive(name)
    if archive is None:
        return Fetched(name, None, (), already=True)
    place = data_root(root)
    folder = place / archive.folder
    if not list(file_problems(archive, folder, "")):
        return _fetched(archive, folder, already=True)
    if _sound_rows(archive, place):
        return _fetched_rows(archive, place / archive.rows_folder, already=True)
    with _stage(place) as stage:
        if source is None:
            source = stage / "downloads"
            _download(archive, source)
        new = stage / "new"
        new.mkdir()
        if (splits := _other_form(archive, source)) is not None:
            return _put_images(archive, splits, source, new, place)
        _collect(archive, source, new)
        problems = list(file_problems(archive, new, "Get the file again from its makers."))
        if problems:
            raise DataError([_from_source(problem, source) for problem in problems])
        _put(new, folder)
    return _fetched(archive, folder, already=False)


def _sound_rows(archive: Archive, place: Path) -> bool:
    """Return True if a sound copy of the images is in place, and no original files are."""
    rows = place / archive.rows_folder
    if not rows.is_dir() or (place / archive.folder).is_dir():
        return False
    try:
        read_rows(rows, archive.known, "")
    except DataError:
        return False
    return True


def _other_form(archive: Archive, source: Path) -> dict[str, Split] | None:
    """Return the images in ``source`` where it holds no original file, but another form of them."""
    if not source.is_dir():
        return None
    original = [*archive.files, *(f"{file}.gz" for file in archive.files), *archive.downloads]
    if any(_find(archive, source, file) for file in original):
        return None
    return read_images(source, archive.known)


def _put_images(archive: Archive, splits: dict[str, Split], source: Path, new: Path, place: Path) -> Fetched:
    """Check images in another form and put them in place, as original files where their order allows it."""
    ordered = {name: sorted_rows(split) for name, split in splits.items()}
    problems = [
        problem
        for name, (split, digest) in ordered.items()
        for problem in split_problems(archive.known, name, split, digest, str(source), "Get the files again.")
    ]
    if problems:
        raise DataError(problems)
    if archive.tar is None:
        for name, content in idx_files(splits).items():
            (new / name).write_bytes(content)
        if not list(file_problems(archive, new, "")):
            _put(new, place / archive.folder)
            return _fetched(archive, place / archive.folder, already=False)
        shutil.rmtree(new)
        new.mkdir()
    write_rows(new, ordered)
    _put(new, place / archive.rows_folder)
    return _fetched_rows(archive, place / archive.rows_folder, already=False)


def _fetched_rows(archive: Archive, rows: Path, *, already: bool) -> Fetched:
    unknown = archive.known.digests is None
    return Fetched(archive.name, rows, row_files(rows), already, by_numbers=unknown)


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
            problems.append(
                Problem(
                    str(source),
                    "",
                    message,
                    "Put the original file there, or the images as Parquet, as folders by class or as npz.",
                )
            )
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
