"""A folder on any file system that pyarrow knows: a local path, ``s3://``, ``gs://``, ``abfs://``, ``hdfs://``."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pyarrow as pa
from pyarrow import fs

from lrstudy.errors import Problem, StoreError
from lrstudy.safe_text import can_be_encoded, safe_text
from lrstudy.store.store_errors import reading, writing

# Amazon's own tools read it too.
ENDPOINT: Final = "AWS_ENDPOINT_URL"
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# On these a file appears when it is closed, whole, and there is no rename.
_OBJECT_STORES: Final = ("s3", "gcs", "abfs")
TEMPORARY: Final = ".tmp"


@dataclass(frozen=True)
class Location:
    """A folder: pyarrow's file system, the path in it, and how to show it (without any password)."""

    filesystem: Any
    path: str
    shown: str

    def __str__(self) -> str:
        return self.shown

    def __truediv__(self, name: str) -> Location:
        """The file or folder of that name inside this folder."""
        return Location(self.filesystem, f"{self.path}/{name}", f"{self.shown.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def local(self) -> Path | None:
        """The path, where this is a folder of the local machine (or mounted there)."""
        return Path(self.path) if self.filesystem.type_name == "local" else None

    @property
    def is_object_store(self) -> bool:
        """Return True if files appear whole on close and folders exist by having files."""
        return self.filesystem.type_name in _OBJECT_STORES

    def exists(self) -> bool:
        """Return True if there is a file or folder."""
        with reading(self.shown):
            return bool(self.filesystem.get_file_info(self.path).type != fs.FileType.NotFound)

    def names(self) -> list[str]:
        """The names of what is in this folder, sorted; none where there is no folder."""
        with reading(self.shown):
            infos = self.filesystem.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        return sorted(info.base_name for info in infos)

    def create_folder(self) -> None:
        """Make the folder and those above it."""
        if self.is_object_store:
            return
        with writing(self.shown):
            self.filesystem.create_dir(self.path, recursive=True)

    def check_writable(self) -> None:
        """Raise the ``StoreError`` of making or writing this folder, where it is local; changes nothing."""
        if self.local is None:
            return
        there = next(folder for folder in (self.local, *self.local.parents) if os.path.lexists(folder))
        with writing(self.shown):
            if not there.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
            if not os.access(there, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))

    def read(self) -> bytes:
        """The file's content."""
        # One request for the size and one for the bytes: what a stream asks for piece by piece could be
        # pieces of two versions.
        with reading(self.shown), self.filesystem.open_input_file(self.path) as file:
            return bytes(file.read())

    def write(self, content: Any) -> None:
        """Put a whole file there, replacing what was there, so that no reader sees a part of it."""
        with writing(self.shown), self.replacing() as stream:
            stream.write(content)

    @contextmanager
    def replacing(self) -> Iterator[Any]:
        """A stream whose content takes the file's place at the end of the block, unless the block raises.

        An object store may keep what was written of a block that raises, if it is more than a few MB.
        """
        if self.local is not None:
            with _replacing_local_file(self.local) as local_stream:
                yield local_stream
        elif self.is_object_store:
            with self.filesystem.open_output_stream(self.path) as stream:
                yield stream
        else:
            with self.filesystem.open_output_stream(_temporary(self.path)) as stream:
                yield stream
            self.filesystem.move(_temporary(self.path), self.path)

    def delete(self) -> None:
        """Remove the file."""
        with writing(self.shown):
            self.filesystem.delete_file(self.path)

    def delete_folder(self) -> None:
        """Remove this folder and everything in it, if it is there."""
        if not self.exists():
            return
        with writing(self.shown):
            self.filesystem.delete_dir(self.path)


def open_location(place: str | os.PathLike[str] | Location, endpoint: str | None = None) -> Location:
    """A folder from a local path or a URI; nothing is created.

    ``endpoint`` is the address of an S3- or GCS-compatible server (``http://localhost:9000``); for ``s3://``
    it is, unless given here or in the URI, what the variable ``AWS_ENDPOINT_URL`` says. Raises
    ``StoreError`` for a URI that pyarrow does not know.
    """
    if isinstance(place, Location):
        return place
    text = os.fspath(place)
    if not can_be_encoded(text if _URI.match(text) else str(Path(text).absolute())):
        remedy = "Rename the folder, or give another place."
        raise StoreError(Problem(safe_text(text), "", "is no path in UTF-8, which stores need", remedy))
    if not _URI.match(text):
        return _local(Path(text))
    if endpoint is None and text.startswith("s3://") and "endpoint_override=" not in text:
        endpoint = os.environ.get(ENDPOINT) or None
    uri = urlsplit(_with_endpoint(text, endpoint))
    shown = urlunsplit((uri.scheme, uri.hostname or "", uri.path, "", "")) or text
    try:
        filesystem, path = fs.FileSystem.from_uri(urlunsplit(uri))
    except (pa.ArrowException, OSError, ImportError, ValueError) as error:
        # pyarrow repeats the URI in its message, with any password that is in it.
        message = str(error).replace(urlunsplit(uri), shown).replace(text, shown).splitlines()[0]
        remedy = "Give a local path, or a URI of s3://, gs://, abfs:// or hdfs:// that this machine can reach"
        raise StoreError(Problem(shown, "", f"cannot be used as a place ({message})", remedy)) from error
    if filesystem.type_name == "local":
        return _local(Path(path))
    return Location(filesystem, path.rstrip("/"), shown)


def study_folder(out: Location, name: str) -> Location:
    """The folder of a study under ``--out``: its name where that is a safe file name, else made safe.

    A study may be called anything; a name with other characters gets a digest, so that two stay two.
    """
    safe = re.sub(r"[^\w.-]+", "-", name).strip(".-")
    safe = safe.encode()[:80].decode(errors="ignore")
    if safe != name or not name:
        safe = f"{safe or 'study'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return out / safe


def _local(path: Path) -> Location:
    absolute = path.expanduser().absolute()
    return Location(fs.LocalFileSystem(), str(absolute), str(path))


def _with_endpoint(uri: str, endpoint: str | None) -> str:
    if endpoint is None:
        return uri
    parts = urlsplit(uri)
    scheme, _, address = endpoint.rpartition("://")
    query = dict(parse_qsl(parts.query)) | {
        "endpoint_override": address.rstrip("/"),
        "scheme": scheme or "https",
    }
    if parts.scheme == "s3":
        # Private servers have no regions; without one pyarrow asks Amazon for the bucket's.
        query.setdefault("region", os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))
    return urlunsplit(parts._replace(query=urlencode(query)))


def _temporary(path: str) -> str:
    folder, _, name = path.rpartition("/")
    # Hidden and with another ending: no `*.parquet` finds it.
    return f"{folder}/.{name}{TEMPORARY}"


@contextmanager
def _replacing_local_file(path: Path) -> Iterator[IO[bytes]]:
    temporary = Path(_temporary(str(path)))
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        # On a full disk the half-written file takes the room that the next attempt needs.
        temporary.unlink(missing_ok=True)
        raise
