"""Writes a report's files, each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lrstudy.errors import InputError, Problem


def write_files(
    directory: Path, files: Mapping[str, bytes], stale: Iterable[str] = (), *, option: str = "-o"
) -> None:
    """Write ``files`` (by path inside ``directory``) and remove the ``stale`` ones of an earlier report.

    ``option`` is the one that chooses the folder. Raises ``InputError`` when the folder cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            place = directory / name
            place.parent.mkdir(parents=True, exist_ok=True)
            _write(place, content)
        for name in stale:
            (directory / name).unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = f"Choose a folder that can be written, with {option}"
        raise InputError(
            Problem(str(directory), "", f"the report cannot be written ({reason})", remedy)
        ) from error


def check_folder(directory: Path) -> None:
    """Make the folder, or say at once that it cannot be written: before minutes of work, not after."""
    write_files(directory, {})


def _write(place: Path, content: bytes) -> None:
    """Under another name first: a reader never sees half a page."""
    unfinished = place.with_name(f".{place.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(place)
