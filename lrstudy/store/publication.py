"""A store copied to a place where others read it, with a page that says what it is."""

from __future__ import annotations

from collections.abc import Mapping

from lrstudy.errors import Problem, StoreError
from lrstudy.store.location import Location
from lrstudy.store.reader import Store, read_study
from lrstudy.store.study_info import STUDY_FILE
from lrstudy.store.table_schema import TABLES


def publish_store(store: Store, destination: Location, pages: Mapping[str, bytes]) -> list[Location]:
    """Copy a store's tables and ``study.json`` into a folder, with ``pages`` by name; return what is new.

    Tables come first and ``study.json`` last: a copy that was cut short is no store, and the next one
    completes it. Files that are there with the same bytes stay. Raises ``StoreError`` when the folder holds
    another study, or files that this store does not have, or cannot be written.
    """
    _check(store, destination)
    destination.create_folder()
    names = [name for table in TABLES for name in store.files(table)]
    contents = ((name, (store.location / name).read()) for name in names)
    written = [file for name, content in contents if (file := _put(destination, name, content))]
    written += [file for name, content in pages.items() if (file := _put(destination, name, content))]
    last = _put(destination, STUDY_FILE, (store.location / STUDY_FILE).read())
    return [*written, last] if last else written


def _check(store: Store, destination: Location) -> None:
    """Refuse a folder whose rows would be mixed with those of the store."""
    if (destination / STUDY_FILE).exists():
        there = read_study(destination)
        if there.spec_hash not in store.study.spec_hashes:
            message = f"holds another study ({there.name})"
            raise StoreError(Problem(str(destination), STUDY_FILE, message, "Choose another folder"))
    for table in TABLES:
        known = {name.rpartition("/")[2] for name in store.files(table)}
        strange = [name for name in (destination / table).names() if name not in known]
        if strange:
            message = "is not a file of this run: its rows would be mixed with the run's"
            remedy = "Choose another folder, or empty this one"
            raise StoreError(Problem(str(destination), f"{table}/{strange[0]}", message, remedy))


def _put(destination: Location, name: str, content: bytes) -> Location | None:
    """Write a file unless it is there with the same bytes; return it if it was written."""
    folder, _, _ = name.rpartition("/")
    if folder:
        (destination / folder).create_folder()
    file = destination / name
    if file.exists() and file.read() == content:
        return None
    file.write(content)
    return file
