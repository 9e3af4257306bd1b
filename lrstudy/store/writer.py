"""The one writer of a store: appends evaluations and trials, and repairs what a kill left behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from lrstudy.errors import Problem, StoreError
from lrstudy.records import EvaluationRecord, TrialRecord
from lrstudy.rules.extension import Extended
from lrstudy.rules.looks import Look
from lrstudy.store.changes import difference_text
from lrstudy.store.chunks import CHUNK_ROWS, ChunkWriter, keep_rows
from lrstudy.store.extended_info import extended_info
from lrstudy.store.leftovers import clear_leftovers
from lrstudy.store.location import Location, open_location
from lrstudy.store.lock import WriterLock, lock_folder
from lrstudy.store.open_attempts import OpenAttempts, read_open_attempts, write_open_attempts
from lrstudy.store.reader import Store, open_store
from lrstudy.store.study_info import STUDY_FILE, StudyInfo
from lrstudy.store.table_schema import (
    FOLDERS,
    SCHEMA_VERSION,
    TABLES,
    TrialKey,
    evaluations_table,
    trials_table,
)
from lrstudy.store.tally import COLUMNS, EvaluationTally, Span, count_evaluations


class StoreWriter:
    """Writes one study's store; a second writer on the same folder is refused.

    ``study`` is what ``study.json`` says, and ``resumed`` whether the store was there before. Use
    ``create_or_open``, then ``close`` (or a ``with`` block).
    """

    def __init__(
        self, location: Location, study: StudyInfo, lock: WriterLock, *, resumed: bool, chunk_rows: int
    ) -> None:
        self.location, self.study, self.resumed = location, study, resumed
        self._lock = lock
        self._trials = ChunkWriter(location / "trials", "trials", study, chunk_rows)
        self._evaluations = ChunkWriter(location / "evaluations", "evaluations", study, chunk_rows)
        self._last_evaluation: dict[str, int] = {}
        self._ended: set[str] = set()

    @classmethod
    def create_or_open(
        cls,
        location: str | PathLike[str] | Location,
        study: StudyInfo,
        *,
        keep: Mapping[str, int] | None = None,
        forget: Collection[str] = (),
        extended: Extended | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> Self:
        """Start a store in ``location`` (the study's own folder), or continue an existing one.

        Evaluations of a trial that has no trial row are dropped, except those up to ``keep[trial_id]``,
        which a checkpoint covers. The rows of the trials to ``forget`` are dropped whole. A store of an
        earlier schema version is continued in this one. ``extended``: ``study`` is an extension of the study
        in the store, which becomes it before anything else is written. Raises ``StoreError`` when the folder
        cannot be written, belongs to another study, is being written by another process, or holds damaged
        files.
        """
        folder = open_location(location)
        _refuse_other_study(folder, study, extended)
        folder.create_folder()
        lock = lock_folder(folder)
        try:
            return cls._open(folder, study, lock, dict(keep or {}), frozenset(forget), extended, chunk_rows)
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def check(
        location: str | PathLike[str] | Location,
        study: StudyInfo,
        extended: Extended | None = None,
        study_file: str = "",
    ) -> None:
        """Raise the ``StoreError`` that ``create_or_open`` would, as far as can be told without writing.

        ``study_file`` is where ``study`` was read, for the remedy.
        """
        folder = open_location(location)
        _refuse_other_study(folder, study, extended, study_file)
        folder.check_writable()

    @classmethod
    def _open(
        cls,
        folder: Location,
        study: StudyInfo,
        lock: WriterLock,
        keep: dict[str, int],
        forget: frozenset[str],
        extended: Extended | None,
        chunk_rows: int,
    ) -> Self:
        before = _refuse_other_study(folder, study, extended)
        clear_leftovers(folder)
        if before is None:
            (folder / STUDY_FILE).write(study.to_json().encode())
            return cls(folder, study, lock, resumed=False, chunk_rows=chunk_rows)
        info = before
        if extended is not None:
            info = extended_info(before, study, extended, open_store(folder).trial_records())
        # Targets and resources may differ between two runs of one study: the report reads the latest.
        now = replace(
            info,
            spec=study.spec,
            fingerprints=study.fingerprints or before.fingerprints,
            schema_version=SCHEMA_VERSION,
        )
        if now != before:
            (folder / STUDY_FILE).write(now.to_json().encode())
        writer = cls(folder, now, lock, resumed=True, chunk_rows=chunk_rows)
        for table_folder in (name for table in TABLES for name in FOLDERS[table]):
            clear_leftovers(folder / table_folder)
        if forget:
            writer._forget(open_store(folder), forget)
        writer._resume(open_store(folder), keep)
        return writer

    @property
    def last_evaluations(self) -> Mapping[str, int]:
        """The last evaluation that is stored (or waiting to be) of every trial that has any."""
        return dict(self._last_evaluation)

    def append(
        self,
        evaluations: Sequence[tuple[TrialKey, EvaluationRecord]] = (),
        trials: Sequence[TrialRecord] = (),
    ) -> None:
        """Store rows; when it returns they are on disk.

        Rows that are stored already (an evaluation, a trial's end) are passed over, so that what a retried
        trial repeats is not doubled. Raises ``StoreError`` when they cannot be written: then they wait, and
        the next call (or ``flush``) tries again. Raises ``ValueError`` when a trial's evaluations leave a gap
        or have a metric that the study does not declare.
        """
        rows = evaluations_table(self._new_evaluations(evaluations), self.study.schema("evaluations"))
        self.append_tables(rows, trials_table(self._new_trials(trials)))

    def append_tables(self, evaluations: Any, trials: Any) -> None:
        """Store whole tables of the study's schemas whose rows are known to be new."""
        self._remember(count_evaluations(evaluations), trials["trial_id"].to_pylist())
        self._evaluations.enqueue(evaluations)
        self._trials.enqueue(trials)
        self.flush()

    def note_looks(self, looks: Sequence[Look]) -> None:
        """Keep the looks at the study so far in ``study.json``."""
        self.rewrite(replace(self.study, looks=[look.to_json() for look in looks]))

    def rewrite(self, study: StudyInfo) -> None:
        """Put another description of the study into ``study.json``."""
        self.study = study
        self._lock.check()
        (self.location / STUDY_FILE).write(study.to_json().encode())

    def flush(self) -> None:
        """Write what waits. Evaluations first: a trial's row says that its evaluations are all there."""
        if not (self._evaluations.waiting or self._trials.waiting):
            return
        self._lock.check()
        self._evaluations.flush()
        self._trials.flush()
        self._lock.check()

    def close(self) -> None:
        """Write what waits and let go of the folder."""
        try:
            self.flush()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new_evaluations(
        self, rows: Sequence[tuple[TrialKey, EvaluationRecord]]
    ) -> list[tuple[TrialKey, EvaluationRecord]]:
        last: dict[str, int] = {}
        new = []
        for key, record in rows:
            before = last.get(key.trial_id, self._last_evaluation.get(key.trial_id, 0))
            number = record.evaluation
            if number <= before:
                continue
            if number != before + 1:
                raise ValueError(f"{key.trial_id}: evaluation {number} follows evaluation {before}")
            last[key.trial_id] = number
            new.append((key, record))
        return new

    def _new_trials(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        first = {record.trial_id: record for record in reversed(records)}
        return [record for name, record in reversed(first.items()) if name not in self._ended]

    def _remember(self, evaluations: Mapping[str, Span], ended: Iterable[str]) -> None:
        for name, span in evaluations.items():
            self._last_evaluation[name] = max(span.last, self._last_evaluation.get(name, 0))
        self._ended.update(ended)

    def _resume(self, store: Store, keep: Mapping[str, int]) -> None:
        ended = store.trials(["trial_id"])
        limits = {trial_id: last for trial_id, last in keep.items() if last > 0}
        tally = EvaluationTally(store.trials(), gaps=self.study.imported)
        orphaned = []
        for name in store.files("evaluations"):
            rows = store.read_file("evaluations", name, COLUMNS)
            covered = _covered(rows, ended, limits)
            tally.add(count_evaluations(rows.filter(covered)))
            if not pc.all(covered).as_py():
                orphaned.append((name, covered))
        # Nothing is changed in a store whose rows contradict each other.
        if problems := tally.problems(str(self.location / "evaluations"), str(self.location)):
            raise StoreError(problems)
        self._remember(tally.spans, ended["trial_id"].to_pylist())
        for name, covered in orphaned:
            keep_rows(self.location / name, covered)
        self._trials.upgrade()
        self._trials.resume()
        self._evaluations.resume()

    def _forget(self, store: Store, trial_ids: frozenset[str]) -> None:
        """Drop the rows of trials; their evaluations then belong to no trial and go with the orphans."""
        self._keep_cost(store, trial_ids)
        gone = pa.array(sorted(trial_ids), pa.string())
        for name in store.files("trials"):
            kept = pc.invert(
                pc.is_in(store.read_file("trials", name, ["trial_id"])["trial_id"], value_set=gone)
            )
            if not pc.all(kept).as_py():
                keep_rows(self.location / name, kept)

    def _keep_cost(self, store: Store, trial_ids: frozenset[str]) -> None:
        """Keep what the trials have used whose rows are about to be dropped; the next rows include it."""
        gone = [OpenAttempts.of(one) for one in store.trial_records() if one.trial_id in trial_ids]
        others = (one for one in read_open_attempts(self.location) if one.trial_id not in trial_ids)
        write_open_attempts(self.location, [*others, *gone])


def _covered(rows: Any, ended: Any, limits: Mapping[str, int]) -> Any:
    """Return a mask of the evaluations that a trial row or a checkpoint covers; the rest run again."""
    covered = pc.is_in(rows["trial_id"], value_set=ended["trial_id"].combine_chunks())
    if limits:
        place = pc.index_in(rows["trial_id"], value_set=pa.array(list(limits), pa.string()))
        limit = pc.take(pa.array(list(limits.values()), pa.int64()), place)
        covered = pc.or_(covered, pc.fill_null(pc.less_equal(rows["evaluation"], limit), False))
    return covered


def _refuse_other_study(
    folder: Location, study: StudyInfo, extended: Extended | None = None, study_file: str = ""
) -> StudyInfo | None:
    """Return what ``study.json`` says, None where there is no store; ``StoreError`` for another study's."""
    names = folder.names()
    if STUDY_FILE not in names:
        tables = [name for table in TABLES for name in FOLDERS[table] if name in names]
        if any((folder / name).names() for name in tables):
            remedy = f"Restore {STUDY_FILE} from a copy, or choose another --out"
            raise StoreError(Problem(str(folder), "", f"holds tables but no {STUDY_FILE}", remedy))
        return None
    file = folder / STUDY_FILE
    before = StudyInfo.from_json(file.read(), str(file))
    wanted = study.spec_hash if extended is None else extended.spec_hash
    if (before.name, before.spec_hash) == (study.name, wanted):
        return before
    raise StoreError(Problem(str(folder), "", *difference_text(folder, before, study, study_file)))
