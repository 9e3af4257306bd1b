"""``lrstudy init``: a study file to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.completion import shipped_names
from lrstudy.errors import InputError, Problem


@app.command()
def init(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Where to write; default study.toml.", show_default=False),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="Copy a study that comes with lrstudy: digits, mnist, …",
            autocompletion=shipped_names,
        ),
    ] = None,
) -> None:
    """Write a commented study file to begin with, or a copy of a shipped one."""
    from lrstudy.spec.shipped import new_study, shipped_study

    place = file or Path(f"{(source or 'study').rpartition('/')[2]}.toml")
    files = shipped_study(source, place) if source is not None else new_study(_name(place), place)
    _write(place.parent, files)
    for name in files:
        typer.echo(f"written: {place.parent / name}")
    typer.echo(f"next: lrstudy plan {shlex.quote(str(place))}")


def _name(file: Path) -> str:
    """A study's name from its file's: one that may name a folder."""
    printable = "".join(c for c in file.stem if c.isprintable() and c not in "/\\")
    return printable.lstrip(".").strip()[:60] or "study"


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write all files, or none where one exists or the folder cannot be written."""
    there = [folder / name for name in files if (folder / name).exists()]
    if there:
        remedy = "Name another file, or delete that one first."
        raise InputError([Problem(str(path), "", "exists already", remedy) for path in there])
    try:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        problem = Problem(str(folder), "", f"cannot be written: {reason}", "Name a file in another folder.")
        raise InputError(problem) from error
