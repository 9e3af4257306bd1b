"""The study files that come with lrstudy, and the one that ``lrstudy init`` writes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from lrstudy.errors import InputError, Problem, StudyFileError, did_you_mean

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped_studies() -> dict[str, Path]:
    """Return every shipped study by its name, ``digits`` or ``classic/iris-softmax``, in alphabetical order.

    A wheel holds them inside the package, a checkout beside it.
    """
    inside, beside = _PACKAGE / "studies", _PACKAGE.parent / "studies"
    folder = inside if inside.is_dir() else beside
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.toml"))
    }


def new_study(name: str, file: Path) -> dict[str, str]:
    """Return the text of a new study file with comments; ``file`` is the path that it will have."""
    text = (Path(__file__).parent / "templates" / "study.toml").read_text(encoding="utf-8")
    return {file.name: _fill(text, {"file": shlex.quote(str(file)), "name": _toml_text(name)})}


def shipped_study(name: str, file: Path) -> dict[str, str]:
    """Return a shipped study and the modules beside it that it names, as file names and texts.

    Raises ``StudyFileError`` for a name that is not shipped.
    """
    studies = shipped_studies()
    by_end = {known.rpartition("/")[2]: path for known, path in studies.items()}
    path = studies.get(name) or by_end.get(name)
    if path is None:
        hint = did_you_mean(name, list(studies))
        raise StudyFileError(Problem("command line", "--from", "is not a shipped study", hint, name))
    text = path.read_text(encoding="utf-8")
    files = {file.name: text}
    for module in re.findall(r'"([A-Za-z_]\w*):[A-Za-z_]\w*"', text):
        code = path.parent / f"{module}.py"
        if code.is_file():
            files[code.name] = code.read_text(encoding="utf-8")
    return files


def write_new(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Write all files into a folder, or none if one exists already or the folder cannot be written."""
    paths = {folder / name: text for name, text in files.items()}
    remedy = "Name another file, or delete that one first."
    if existing := [path for path in paths if path.exists()]:
        raise InputError([Problem(str(path), "", "exists already", remedy) for path in existing])
    try:
        for path, text in paths.items():
            path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        problem = Problem(str(folder), "", f"cannot be written: {reason}", "Name a file in another folder.")
        raise InputError(problem) from error
    return list(paths)


def study_name(file: Path) -> str:
    """Return a study's name from its file's: one that may also be the name of a folder."""
    printable = "".join(c for c in file.stem if c.isprintable() and c not in "/\\")
    return printable.lstrip(".").strip()[:60] or "study"


def _fill(text: str, values: Mapping[str, str]) -> str:
    # str.format would trip over TOML's own braces.
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    return text


def _toml_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
