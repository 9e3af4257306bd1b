"""W&B's runs as tables: offline folders, and projects through its public API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from lrstudy.errors import InputError
from lrstudy.safe_text import describe
from lrstudy.store.log_formats import LogTable, printable
from lrstudy.store.log_formats.table import refusal
from lrstudy.trackers.databases import shown
from lrstudy.trackers.packages import load_package
from lrstudy.trackers.run_tables import chosen, columns_of, flat, make_table, no_such_tag
from lrstudy.trackers.wandb_file import EXTRA, read_records

SCHEME: Final = "wandb://"
_STEP: Final = "_step"
# W&B's own columns, which a choice of metrics leaves in.
_ALWAYS: Final = (_STEP, "_runtime", "_timestamp", "epoch", "step", "global_step", "trainer/global_step")
_FILTERS: Final = {
    "group": "group",
    "job_type": "jobType",
    "state": "state",
    "name": "display_name",
    "sweep": "sweep",
}
_USAGE: Final = (
    "Write wandb://ENTITY/PROJECT, with ?group=NAME&tag=NAME to choose runs, or wandb://ENTITY/PROJECT/RUN"
)
_REFUSED: Final = "Log in with wandb login, and check entity and project in the run's address"


@dataclass(slots=True)
class _Run:
    """A run's rows, and what it has one value of."""

    where: str
    constants: dict[str, Any]
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    started: float = 0.0


def offline_files(folder: Path) -> list[Path]:
    """Return the offline files of a run's folder, of a folder ``wandb`` or of one that has it."""
    patterns = ("run-*.wandb", "*run-*/run-*.wandb", "wandb/*run-*/run-*.wandb")
    return sorted(
        {
            file
            for pattern in patterns
            for file in folder.glob(pattern)
            if file.is_file() and not file.parent.is_symlink()  # latest-run is another name of the last one
        }
    )


def read_offline(source: Path, tags: Sequence[str] = ()) -> list[LogTable]:
    """Return a table for each offline run in a folder; parts of a run that was resumed are joined."""
    files = [source] if source.is_file() else offline_files(source)
    runs: dict[Any, _Run] = {}
    for part in sorted(map(_offline_run, files), key=lambda run: run.started):
        key = part.constants.get("run.project"), part.constants.get("run.id")
        if key in runs:
            runs[key] = _continued(runs[key], part)
        else:
            runs[key] = part
    return _tables(printable(source), list(runs.values()), tags)


def _offline_run(file: Path) -> _Run:
    where = printable(file)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise refusal(
            where, f"cannot be read ({error.strerror})", "Give a folder wandb/offline-run-…"
        ) from error
    run, values = _Run(where, {}), dict[str, Any]()
    state = "crashed"
    for record in read_records(where, content):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.started = record.run.start_time.ToSeconds()
            run.constants |= _names(record.run)
            _update(where, values.setdefault("config", {}), record.run.config)
        elif kind in ("config", "summary"):
            _update(where, values.setdefault(kind, {}), getattr(record, kind))
        elif kind == "history":
            run.rows.append(_put(where, {}, record.history.item))
        elif kind == "exit":
            state = "failed" if record.exit.exit_code else "finished"
    run.constants |= {"run.state": state} | _own_values(values)
    return run


def _names(run: Any) -> dict[str, Any]:
    names = {
        "run.id": run.run_id,
        "run.name": run.display_name or run.run_id,
        "run.group": run.run_group,
        "run.job_type": run.job_type,
        "run.project": run.project,
        "run.sweep": run.sweep_id,
        "run.tags": ",".join(run.tags),
    }
    return {name: value for name, value in names.items() if value}


def _update(where: str, values: dict[str, Any], changes: Any) -> None:
    _put(where, values, changes.update)
    for item in changes.remove:
        *outer, last = _path(item)
        inner: Any = values
        for name in outer:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner.pop(last, None)


def _put(where: str, values: dict[str, Any], items: Iterable[Any]) -> dict[str, Any]:
    """Set the values of messages, which name each by its path."""
    for item in items:
        *outer, last = _path(item)
        inner = values
        for name in outer:
            below = inner.get(name)
            if not isinstance(below, dict):
                below = inner[name] = {}
            inner = below
        try:
            inner[last] = json.loads(item.value_json)
        except (ValueError, RecursionError) as error:
            message = f"the value of {printable('.'.join([*outer, last]))} is not JSON"
            raise refusal(where, message, "Copy the file again from the machine that wrote it") from error
    return values


def _path(item: Any) -> list[str]:
    return list(item.nested_key) or [item.key]


def _own_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return config and summary by flat names, without what W&B itself keeps in them."""
    plain = {outer: {k: v for k, v in inner.items() if k[:1] != "_"} for outer, inner in values.items()}
    return dict(flat(plain))


def _continued(run: _Run, part: _Run) -> _Run:
    """Return a run with the rows of its continuation, which replace those from the same steps on."""
    first = min((row[_STEP] for row in part.rows if _STEP in row), default=None)
    rows = [row for row in run.rows if first is None or row.get(_STEP, first) < first]
    return _Run(part.where, run.constants | part.constants, [*rows, *part.rows], run.started)


def read_project(source: str, tags: Sequence[str] = ()) -> list[LogTable]:
    """Return a table for each run of a W&B project that the query's filters leave, through W&B's API."""
    path, filters = _parse(source)
    wandb = load_package("wandb", EXTRA, source)
    return _tables(source, _ask(source, lambda: _online_runs(wandb.Api(), path, filters)), tags)


def _parse(source: str) -> tuple[str, dict[str, Any]]:
    """Return a project's or run's path and W&B's filters.

    >>> _parse("wandb://me/digits?group=a&tag=x")
    ('me/digits', {'group': 'a', 'tags': {'$in': ['x']}})
    """
    url = urlsplit(source)
    parts = [unquote(part) for part in (url.netloc, *url.path.split("/")) if part]
    query = parse_qs(url.query, keep_blank_values=True)
    unknown = [name for name in query if name not in ("tag", *_FILTERS)]
    if unknown:
        known = ", ".join(("tag", *_FILTERS))
        raise refusal(source, f"has the unknown filter {printable(unknown[0])}", f"Known: {known}")
    if not 2 <= len(parts) <= 3 or (len(parts) == 3 and query):
        raise refusal(source, "does not name a W&B project", _USAGE)
    filters: dict[str, Any] = {
        _FILTERS[name]: values[0] if len(values) == 1 else {"$in": values}
        for name, values in query.items()
        if name != "tag"
    }
    return "/".join(parts), filters | ({"tags": {"$in": query["tag"]}} if "tag" in query else {})


def _ask(source: str, ask: Callable[[], list[_Run]]) -> list[_Run]:
    try:
        return ask()
    except InputError:
        raise
    except Exception as error:
        message = f"W&B gave no runs ({shown(describe(error))})"
        raise refusal(source, message, _REFUSED) from error


def _online_runs(api: Any, path: str, filters: dict[str, Any]) -> list[_Run]:
    one = path.count("/") == 2
    found = [api.run(path)] if one else api.runs(path, filters=filters, order="+created_at")
    return [_online_run(run) for run in found]


def _online_run(run: Any) -> _Run:
    names = {
        "run.id": run.id,
        "run.name": run.name or run.id,
        "run.group": run.group,
        "run.job_type": run.job_type,
        "run.project": run.project,
        "run.state": run.state,
        "run.tags": ",".join(run.tags or ()),
    }
    constants = {name: value for name, value in names.items() if value}
    constants |= _own_values({"config": run.config, "summary": run.summary_metrics})
    where = f"{SCHEME}{run.entity}/{run.project}/{run.id}"
    return _Run(where, constants, list(run.scan_history()))


def _tables(source: str, runs: Sequence[_Run], tags: Sequence[str]) -> list[LogTable]:
    if not runs:
        raise refusal(source, "has no run", "Check the project and the filters, or leave the filters out")
    measured = [(run, columns_of(printable(run.where), run.rows)) for run in runs if run.rows]
    if not measured:
        raise refusal(source, "has no run with a logged row", "Give runs that logged metrics")
    names = list(dict.fromkeys(name for _, columns in measured for name in columns if name not in _ALWAYS))
    if not (fitting := set(chosen(names, tags))):
        raise no_such_tag(source, names, tags)
    tables = []
    for run, columns in measured:
        kept = {name: column for name, column in columns.items() if name in fitting or name in _ALWAYS}
        tables.append(make_table(printable(run.where), kept, run.constants))
    empty = [run for run in runs if not run.rows]
    tables[0].notes += [f"{printable(run.where)}: left out, it logged no row" for run in empty]
    return tables
