"""Checkpoints of running trials, so that a lost worker or driver costs some steps instead of a trial.

One folder per trial, ``<store>/checkpoints/<trial>/``, is written by the trial's worker and removed by the
driver once the trial's row is in the store. A checkpoint holds the whole state of the trial and every
evaluation so far; its name contains a digest of its content.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal

import torch

from lrstudy.engine.trial import State, TrialConfig
from lrstudy.errors import StoreError
from lrstudy.records import EvaluationRecord
from lrstudy.safe_text import describe
from lrstudy.spec import Faults
from lrstudy.store import Location, study_folder

FOLDER: Final = "checkpoints"
# Those of format 1, whose rows were epochs by position, begin with "epoch".
_NAME: Final = re.compile(r"(?:epoch|evaluation)-(\d+)-([0-9a-f]{16})\.pt")
_FORMAT: Final = 2
# Seconds of training for a second of writing, where checkpoints follow any pause.
_SHARE: Final = 20.0
_FIELDS: Final = [field.name for field in fields(EvaluationRecord)]


@dataclass(frozen=True, slots=True)
class Saved:
    """The content of a checkpoint: state, evaluations, the trial's first start, its writer's attempt."""

    state: State
    rows: tuple[EvaluationRecord, ...]
    attempt: int
    started_at: datetime


@dataclass(slots=True)
class TrialCheckpoints:
    """The checkpoints of one trial, on its worker's side; only the newest is kept.

    No error here fails a trial: ``notes`` list what could not be read or written. ``used`` is True if there
    are checkpoints to remove when the trial is over. With ``any_pause``, a checkpoint may follow any pause of
    the training, whose evaluations may be hours apart; none is due before writing takes 5% of the time.
    """

    store: Location
    spec_hash: str
    config: TrialConfig
    faults: Faults
    clock: Callable[[], float] = time.monotonic
    notes: list[str] = field(default_factory=list)
    used: bool = False
    any_pause: bool = False
    _names: list[str] = field(default_factory=list)
    _last: float = 0.0
    _failing: str = ""
    _cost: float = 0.0

    def __post_init__(self) -> None:
        self._last = self.clock()

    def load(self) -> Saved | None:
        """Return the newest checkpoint that is intact and belongs to this trial, or None."""
        if self.faults.checkpoint_epochs == 0:
            return None
        try:
            self._names = [name for name in self._folder.names() if _NAME.fullmatch(name)]
        except StoreError as error:
            self.notes.append(f"checkpoints could not be listed: {error}")
            return None
        self.used = bool(self._names)
        for name in reversed(self._names):
            try:
                return self._read(name)
            except (StoreError, ValueError) as error:
                self.notes.append(f"{self.config.trial_id}: checkpoint {name} is ignored: {error}")
        return None

    def due(self, evaluation: int) -> bool:
        """Return True if a checkpoint must be written after this evaluation."""
        every = self.faults.checkpoint_epochs
        if every == 0 or (evaluation % every and not self.any_pause):
            return False
        rest = max(self.faults.checkpoint_seconds, _SHARE * self._cost if self.any_pause else 0.0)
        return self.clock() - self._last >= rest

    def save(
        self, state: State, rows: Sequence[EvaluationRecord], attempt: int, started_at: datetime
    ) -> bool:
        """Write a checkpoint, then remove the earlier ones; return True if it was written."""
        began = self.clock()
        try:
            name, content = self._pack(state, rows, attempt, started_at)
            if not (self.store / "study.json").exists():
                # This is another machine's disk: no driver would find or remove the checkpoint.
                return self._note_failure(f"no checkpoints: this worker does not see {self.store}")
            self._folder.create_folder()
            (self._folder / name).write(content)
            self.used = True
            for before in self._names:
                if before != name:
                    (self._folder / before).delete()
            self._names = [name]
        except StoreError as error:
            return self._note_failure(f"no checkpoint: {error}", error.problems[0].message)
        except Exception as error:  # noqa: BLE001 - the state of a user's own schedule may not be picklable
            return self._note_failure(f"no checkpoint: {describe(error)}")
        finally:
            self._last = self.clock()
            self._cost = self._last - began
        self._failing = ""
        return True

    def _note_failure(self, note: str, cause: str = "") -> Literal[False]:
        """Note a failure, unless the previous save failed with the same cause; return False."""
        if self._failing != (cause := cause or note):
            self.notes.append(note)
        self._failing = cause
        return False

    @property
    def _folder(self) -> Location:
        return _folder_of(self.store, self.config.trial_id)

    def _identity(self) -> dict[str, Any]:
        config = self.config
        params = json.dumps(dict(config.params), sort_keys=True)
        return {
            "spec_hash": self.spec_hash,
            "trial_id": config.trial_id,
            "kind": config.kind,
            "seed": config.seed,
            "params": params,
        }

    def _pack(
        self, state: State, rows: Sequence[EvaluationRecord], attempt: int, started_at: datetime
    ) -> tuple[str, bytes]:
        content = {
            "format": _FORMAT,
            "identity": self._identity(),
            "state": state,
            "rows": [_packed_row(row) for row in rows],
            "attempt": attempt,
            "started_at": started_at.isoformat(),
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        packed = buffer.getvalue()
        evaluation = rows[-1].evaluation if rows else 0
        return f"evaluation-{evaluation:05d}-{_digest(packed)}.pt", packed

    def _read(self, name: str) -> Saved:
        packed = (self._folder / name).read()
        match = _NAME.fullmatch(name)
        if match is None or _digest(packed) != match[2]:
            raise ValueError("it is damaged")
        try:
            content = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
        except Exception as error:
            message = str(error).strip().partition("\n")[0]
            raise ValueError(f"it cannot be loaded safely ({message})") from error
        if content.get("format") != _FORMAT:
            raise ValueError("another version of lrstudy wrote it")
        if content.get("identity") != self._identity():
            raise ValueError("it belongs to another trial")
        rows = tuple(EvaluationRecord(**values) for values in content["rows"])
        started_at = datetime.fromisoformat(content["started_at"])
        return Saved(content["state"], rows, content["attempt"], started_at)


def remove_checkpoints(store: Location, trial_ids: Collection[str]) -> None:
    """Remove the checkpoints of these trials; raises ``StoreError`` if that fails."""
    for trial_id in trial_ids:
        _folder_of(store, trial_id).delete_folder()


def remove_all_checkpoints(store: Location) -> None:
    """Remove the checkpoints of all trials, at the end of a study."""
    (store / FOLDER).delete_folder()


def remove_ended(store: Location, ended: Collection[str]) -> None:
    """Remove the folders of trials whose rows are in the store, which a killed driver has left."""
    folders = set((store / FOLDER).names())
    if folders:
        remove_checkpoints(store, [name for name in ended if _folder_of(store, name).name in folders])


def check_checkpoints(store: Location) -> tuple[int, list[str]]:
    """Return the number of intact checkpoints, and the names of the others."""
    sound, damaged = 0, []
    for trial in (store / FOLDER).names():
        folder = store / FOLDER / trial
        for name in folder.names():
            match = _NAME.fullmatch(name)
            if match is None:
                continue
            if _digest((folder / name).read()) == match[2]:
                sound += 1
            else:
                damaged.append(f"{trial}/{name}")
    return sound, damaged


def _folder_of(store: Location, trial_id: str) -> Location:
    # A schedule may have any name: its trials' folders get names by the rule for a study's folder.
    return study_folder(store / FOLDER, trial_id)


def _packed_row(row: EvaluationRecord) -> dict[str, Any]:
    """Return a record's fields by name, as plain values."""
    return {name: getattr(row, name) for name in _FIELDS} | {"metrics": dict(row.metrics)}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
