"""MLflow's runs as tables, from a server, a database or a folder ``mlruns``, through its client."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from lrstudy.errors import InputError
from lrstudy.safe_text import describe
from lrstudy.store.log_formats import LogTable, printable
from lrstudy.store.log_formats.table import refusal
from lrstudy.trackers.databases import check_sqlite, shown
from lrstudy.trackers.packages import load_package
from lrstudy.trackers.run_tables import check_cells, chosen, filled, make_table, no_such_tag

SCHEME: Final = "mlflow:"
EXTRA: Final = "mlflow"
_USAGE: Final = (
    "Write mlflow:sqlite:///FILE#EXPERIMENT, mlflow:FOLDER#EXPERIMENT or mlflow:http://HOST#EXPERIMENT"
)
_SYSTEM: Final = "system/"  # utilization of the machine
_PAGE: Final = 1000
# A database holds an infinite value as the largest number.
_INFINITE: Final = sys.float_info.max
# MLflow 3 refuses folders without the first, and asks a server that is down for minutes without the second.
_SETTINGS: Final = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}


def is_mlruns(folder: Path) -> bool:
    """Return True if a folder is one of MLflow's experiments."""
    return any((inside / "meta.yaml").is_file() for inside in folder.glob("*") if inside.is_dir())


def read_mlflow(source: str, tags: Sequence[str] = ()) -> list[LogTable]:
    """Return a table for each run of an MLflow experiment, deleted runs left out."""
    where = shown(source)
    address, _, experiment = source.removeprefix(SCHEME).partition("#")
    if not address:
        raise refusal(where, "does not name a store of MLflow", _USAGE)
    _check(where, address)
    mlflow = load_package("mlflow", EXTRA, where)
    if "://" in address and not address.startswith("http"):
        load_package("sqlalchemy", EXTRA, where)
    try:
        with _settings(), warnings.catch_warnings(action="ignore"):
            return _read(where, mlflow.MlflowClient(_uri(address)), experiment, tags)
    except InputError:
        raise
    except Exception as error:
        message = f"MLflow cannot read it ({shown(describe(error))})"
        raise refusal(
            where, message, "Check the address; of an old database: mlflow db upgrade URI"
        ) from error


def _check(where: str, address: str) -> None:
    """Raise ``InputError`` for what MLflow's client would create or change."""
    check_sqlite(where, address, "MLflow", ("experiments", "runs", "metrics"))
    if "://" not in address and not is_mlruns(Path(address)):
        message = f"{printable(address)} is not a folder of MLflow's experiments"
        raise refusal(where, message, _USAGE)


def _uri(address: str) -> str:
    return address if "://" in address else Path(address).absolute().as_uri()


@contextmanager
def _settings() -> Iterator[None]:
    """Set MLflow's options for reading, where the user has not, and take them back."""
    own = [name for name in _SETTINGS if name not in os.environ]
    os.environ.update({name: _SETTINGS[name] for name in own})
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)


def _read(where: str, client: Any, experiment: str, tags: Sequence[str]) -> list[LogTable]:
    runs = _runs(where, client, experiment)
    keys = list(dict.fromkeys(key for run in runs for key in run.data.metrics))
    if not keys:
        raise refusal(where, "has no run with a metric", "Choose another experiment: #NAME")
    fitting = chosen([key for key in keys if tags or not key.startswith(_SYSTEM)], tags)
    if not fitting:
        raise no_such_tag(where, keys, tags)
    tables = []
    empty = []
    for run in runs:
        names = [key for key in fitting if key in run.data.metrics]
        if names:
            tables.append(_table(where, client, run, names))
        else:
            empty.append(f"{printable(run.info.run_name)}: left out, it has no metric that fits")
    tables[0].notes += empty
    return tables


def _runs(where: str, client: Any, experiment: str) -> list[Any]:
    """Return all runs of the experiment, oldest first."""
    known = _pages(lambda token: client.search_experiments(max_results=_PAGE, page_token=token))
    named = [each for each in known if experiment in ("", each.name, each.experiment_id)]
    runs: dict[str, list[Any]] = {}
    for each in named:
        inside = _pages(
            lambda token, each=each: client.search_runs(
                [each.experiment_id],
                max_results=_PAGE,
                page_token=token,
                order_by=["attributes.start_time ASC"],
            )
        )
        if inside:
            runs[each.name] = inside
    if len(runs) != 1:
        names = ", ".join(printable(each.name) for each in known)
        message = f"has no experiment {experiment!r} with runs" if experiment else "has several experiments"
        remedy = f"Choose one: #NAME; known: {names}" if known else _USAGE
        raise refusal(where, message if runs or experiment else "has no run", remedy)
    return next(iter(runs.values()))


def _pages(ask: Any) -> list[Any]:
    found, token = [], None
    while True:
        page = ask(token)
        found += page
        token = page.token
        if not token:
            return found


def _table(where: str, client: Any, run: Any, names: Sequence[str]) -> LogTable:
    place = printable(f"{where} {run.info.run_name or run.info.run_id}")
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in names}
    notes = []
    if all(metric.step == 0 for history in histories.values() for metric in history) and any(
        len(history) > 1 for history in histories.values()
    ):
        notes.append(f"{place}: logged without steps, so values are counted in their order")
        numbered = {
            name: list(enumerate(sorted(history, key=lambda metric: metric.timestamp), start=1))
            for name, history in histories.items()
        }
    else:
        numbered = {
            name: [(m.step, m) for m in sorted(history, key=lambda metric: (metric.step, metric.timestamp))]
            for name, history in histories.items()
        }
    points = {name: dict(pairs) for name, pairs in numbered.items()}  # of several at a step, the last one
    steps = np.array(sorted({step for by_step in points.values() for step in by_step}), np.int64)
    check_cells(place, len(steps), len(names))
    columns: dict[str, Any] = {"step": steps}
    moments = np.full(len(steps), -np.inf)
    for name, by_step in points.items():
        at = np.searchsorted(steps, np.array(list(by_step), np.int64))
        columns[name] = filled(len(steps), at, np.array([_value(m.value) for m in by_step.values()]))
        moments[at] = np.maximum(moments[at], [m.timestamp / 1000 for m in by_step.values()])
    columns["seconds"] = moments - min(run.info.start_time / 1000, float(moments.min()))
    return make_table(place, columns, _constants(run), notes)


def _value(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) == _INFINITE else float(value)


def _constants(run: Any) -> dict[str, Any]:
    constants: dict[str, Any] = {f"params.{name}": value for name, value in run.data.params.items()}
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
    constants |= {f"tags.{name}": value for name, value in tags.items()}
    return constants | {
        "run.name": run.info.run_name or run.info.run_id,
        "run.id": run.info.run_id,
        "run.state": run.info.status.lower(),
    }
