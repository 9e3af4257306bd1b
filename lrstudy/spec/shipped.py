"""The study files that come with lrstudy, and the one that ``lrstudy init`` writes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from lrstudy.errors import Problem, StudyFileError, did_you_mean

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped_studies() -> dict[str, Path]:
    """Every shipped study by its name, ``digits`` or ``classic/iris-softmax``, in alphabetical order.

    A wheel holds them inside the package, a checkout beside it.
    """
    inside, beside = _PACKAGE / "studies", _PACKAGE.parent / "studies"
    folder = inside if inside.is_dir() else beside
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.toml"))
    }


def new_study(name: str, file: Path) -> dict[str, str]:
    """The text of a new, commented study file by that name; ``file`` is its future path."""
    text = (Path(__file__).parent / "templates" / "study.toml").read_text(encoding="utf-8")
    return {file.name: _fill(text, {"file": shlex.quote(str(file)), "name": _toml_text(name)})}


def shipped_study(name: str, file: Path) -> dict[str, str]:
    """A shipped study and the modules beside it that it names, as file names and texts.

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


def _fill(text: str, values: Mapping[str, str]) -> str:
    # str.format would trip over TOML's own braces.
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    return text


def _toml_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
