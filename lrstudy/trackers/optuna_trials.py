"""Optuna's trials as tables: intermediate values by step, with parameters as constants."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from lrstudy.errors import InputError, all_known
from lrstudy.safe_text import describe
from lrstudy.store.log_formats import LogTable, printable
from lrstudy.store.log_formats.table import refusal
from lrstudy.trackers.databases import check_sqlite, shown
from lrstudy.trackers.packages import load_package
from lrstudy.trackers.run_tables import chosen, make_table, no_such_tag

SCHEME: Final = "optuna:"
_VALUE: Final = "value"
_ENDED: Final = ("COMPLETE", "PRUNED")
_USAGE: Final = "Write optuna:sqlite:///FILE#STUDY, or optuna:FILE#STUDY for a journal"


def read_optuna(source: str, tags: Sequence[str] = ()) -> list[LogTable]:
    """Return a table for each trial of a study that is complete or pruned, with the column ``value``.

    It is the only metric, so that ``tags`` must fit it.
    """
    where = shown(source)
    address, _, study = source.removeprefix(SCHEME).partition("#")
    if not address:
        raise refusal(where, "does not name a storage of Optuna", _USAGE)
    if not chosen([_VALUE], tags):
        raise no_such_tag(where, [_VALUE], tags)
    check_sqlite(where, address, "Optuna", ("studies", "trials", "trial_intermediate_values"))
    optuna = load_package("optuna", "", where)
    try:
        with warnings.catch_warnings(action="ignore"):
            return _read(where, optuna, _storage(where, optuna, address), study)
    except InputError:
        raise
    except Exception as error:
        message = f"Optuna cannot read it ({shown(describe(error))})"
        remedy = "Check the address; of an old database: optuna storage upgrade --storage URL"
        raise refusal(where, message, remedy) from error


def _storage(where: str, optuna: Any, address: str) -> Any:
    if "://" in address:
        return optuna.storages.RDBStorage(address, skip_table_creation=True)
    if not Path(address).is_file():
        raise refusal(where, f"there is no file {printable(address)}", _USAGE)
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(address))


def _read(where: str, optuna: Any, storage: Any, study: str) -> list[LogTable]:
    names = [printable(name) for name in optuna.get_all_study_names(storage)]
    if not study and len(names) == 1:
        study = names[0]
    if study not in names:
        message = f"has no study {study!r}" if study else f"has {len(names)} studies"
        raise refusal(where, message, f"Choose one: #STUDY. {all_known(names)}")
    loaded = optuna.load_study(study_name=study, storage=storage)
    if len(loaded.directions) > 1:
        message = "has several objectives, whose intermediate values Optuna does not keep"
        raise refusal(where, message, "Give a study with one objective")
    constants = {"study.name": study, "study.direction": loaded.direction.name.lower()}
    tables, left_out = [], dict[str, int]()
    for trial in loaded.get_trials(deepcopy=False):
        if trial.state.name in _ENDED and (trial.intermediate_values or trial.value is not None):
            tables.append(_table(where, trial, constants))
        else:
            left_out[trial.state.name] = left_out.get(trial.state.name, 0) + 1
    if not tables:
        raise refusal(where, "has no trial with a value", "Give a study whose trials have ended")
    for state, count in left_out.items():
        tables[0].notes.append(
            f"{where}: {count} trials left out, in state {state} without a value to compare"
        )
    return tables


def _table(where: str, trial: Any, constants: dict[str, Any]) -> LogTable:
    values = dict(sorted(trial.intermediate_values.items())) or {1: trial.value}
    columns = {
        "step": np.array(list(values), np.int64),
        _VALUE: np.array(list(values.values()), np.float64),
    }
    own: dict[str, Any] = {f"params.{name}": value for name, value in trial.params.items()}
    plain = {name: value for name, value in trial.user_attrs.items() if isinstance(value, str | int | float)}
    own |= {f"attrs.{name}": value for name, value in plain.items()}
    own |= {
        "run.name": f"trial-{trial.number}",
        "run.state": trial.state.name.lower(),
        "trial.number": trial.number,
        "trial.value": trial.value,
    }
    return make_table(f"{where} trial {trial.number}", columns, constants | own)
