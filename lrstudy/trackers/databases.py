"""Checks of a tracker's SQLite file before its package opens it, which would create what is missing."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from lrstudy.store.log_formats import printable
from lrstudy.store.log_formats.table import refusal

_SQLITE: Final = "sqlite:///"
_USER: Final = re.compile(r"://[^/\s]*@")
_MAGIC: Final = b"SQLite format 3\0"


def shown(text: str) -> str:
    """Return the first line of a text as it may be shown: addresses in it without user and password.

    >>> shown("mlflow:https://me:secret@host/path#digits")
    'mlflow:https://host/path#digits'
    """
    return printable(_USER.sub("://", (text.splitlines() or [""])[0]))


def check_sqlite(where: str, url: str, tool: str, tables: Iterable[str]) -> None:
    """Raise ``InputError`` if ``url`` is an SQLite file that is missing, damaged or another tool's."""
    if not url.startswith("sqlite:"):
        return
    if not url.startswith(_SQLITE) or not (name := unquote(urlsplit(url).path[1:])):
        raise refusal(
            where, "is not the address of an SQLite file", "Write sqlite:///FILE, or sqlite:////ROOT/FILE"
        )
    file = Path(name)
    if not file.is_file():
        raise refusal(
            where, f"there is no file {printable(file)}", "Check the path: sqlite:///FILE is relative"
        )
    with file.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise refusal(
                where, f"{printable(file)} is not an SQLite database", f"Give the one that {tool} writes"
            )
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)) as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            names = {
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
    except sqlite3.Error as error:
        verdict, names = str(error), set()
    if verdict != "ok":
        message = f"{printable(file)} is damaged ({printable(verdict.splitlines()[0])})"
        raise refusal(where, message, "Copy it again while nothing writes to it")
    if missing := [table for table in tables if table not in names]:
        message = f"{printable(file)} is not a database of {tool}: it has no table {missing[0]}"
        raise refusal(where, message, f"Give the one that {tool} writes")
