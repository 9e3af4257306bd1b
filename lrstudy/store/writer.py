"""The one writer of a store: appends epochs and trials, and mends what a kill left behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from lrstudy.errors import Problem, StoreError
from lrstudy.records import EpochRecord, TrialRecord
from lrstudy.store.changes import changes_between, listed_changes
from lrstudy.store.chunks import CHUNK_ROWS, ChunkWriter
from lrstudy.store.leftovers import clear_leftovers
from lrstudy.store.location import Location, open_location
from lrstudy.store.lock import WriterLock, lock_folder
from lrstudy.store.reader import Store, open_store
from lrstudy.store.study_info import STUDY_FILE, StudyInfo
from lrstudy.store.table_schema import TABLES, TrialKey, epochs_table, trials_table
from lrstudy.store.tally import EpochTally, Span, count_epochs


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
        self._epochs = ChunkWriter(location / "epochs", "epochs", study, chunk_rows)
        self._last_epoch: dict[str, int] = {}
        self._ended: set[str] = set()

    @classmethod
    def create_or_open(
        cls,
        location: str | PathLike[str] | Location,
        study: StudyInfo,
        *,
        keep: Mapping[str, int] | None = None,
        forget: Collection[str] = (),
        chunk_rows: int = CHUNK_ROWS,
    ) -> Self:
        """Start a store in ``location`` (the study's own folder), or continue an existing one.

        Epoch rows of a trial that has no trial row are dropped, but for the epochs up to ``keep[trial_id]``,
        which a checkpoint covers. The rows of the trials to ``forget`` are dropped whole. Raises
        ``StoreError`` when the folder cannot be written, belongs to another study, is being written by
        another process, or holds damaged files.
        """
        folder = open_location(location)
        _refuse_other_study(folder, study)
        folder.create_folder()
        lock = lock_folder(folder)
        try:
            return cls._open(folder, study, lock, dict(keep or {}), frozenset(forget), chunk_rows)
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def check(location: str | PathLike[str] | Location, study: StudyInfo) -> None:
        """Raise the ``StoreError`` that ``create_or_open`` would, as far as can be told without writing."""
        folder = open_location(location)
        _refuse_other_study(folder, study)
        folder.check_writable()

    @classmethod
    def _open(
        cls,
        folder: Location,
        study: StudyInfo,
        lock: WriterLock,
        keep: dict[str, int],
        forget: frozenset[str],
        chunk_rows: int,
    ) -> Self:
        before = _refuse_other_study(folder, study)
        clear_leftovers(folder)
        if before is None:
            (folder / STUDY_FILE).write(study.to_json().encode())
            return cls(folder, study, lock, resumed=False, chunk_rows=chunk_rows)
        # Targets and resources may differ between two runs of one study: the report reads the latest.
        now = replace(before, spec=study.spec, fingerprints=study.fingerprints or before.fingerprints)
        if now != before:
            (folder / STUDY_FILE).write(now.to_json().encode())
        writer = cls(folder, now, lock, resumed=True, chunk_rows=chunk_rows)
        for table in TABLES:
            clear_leftovers(folder / table)
        if forget:
            writer._forget(open_store(folder), forget)
        writer._resume(open_store(folder), keep)
        return writer

    @property
    def last_epochs(self) -> Mapping[str, int]:
        """The last epoch that is stored (or waiting to be) of every trial that has any."""
        return dict(self._last_epoch)

    def append(
        self,
        epochs: Sequence[tuple[TrialKey, EpochRecord]] = (),
        trials: Sequence[TrialRecord] = (),
    ) -> None:
        """Store rows; when it returns they are on disk.

        Rows that are stored already (an epoch, a trial's end) are passed over, so that what a retried
        trial repeats is not doubled. Raises ``StoreError`` when they cannot be written: then they wait, and
        the next call (or ``flush``) tries again. Raises ``ValueError`` when a trial's epochs leave a gap.
        """
        self.append_tables(epochs_table(self._new_epochs(epochs)), trials_table(self._new_trials(trials)))

    def append_tables(self, epochs: Any, trials: Any) -> None:
        """Store whole tables of ``EPOCHS_SCHEMA`` and ``TRIALS_SCHEMA`` whose rows are known to be new."""
        self._remember(count_epochs(epochs), trials["trial_id"].to_pylist())
        self._epochs.enqueue(epochs)
        self._trials.enqueue(trials)
        self.flush()

    def flush(self) -> None:
        """Write what waits. Epochs first: a trial's row says that its epochs are all there."""
        if not (self._epochs.waiting or self._trials.waiting):
            return
        self._lock.check()
        self._epochs.flush()
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

    def _new_epochs(self, rows: Sequence[tuple[TrialKey, EpochRecord]]) -> list[tuple[TrialKey, EpochRecord]]:
        last: dict[str, int] = {}
        new = []
        for key, record in rows:
            before = last.get(key.trial_id, self._last_epoch.get(key.trial_id, 0))
            if record.epoch <= before:
                continue
            if record.epoch != before + 1:
                raise ValueError(f"{key.trial_id}: epoch {record.epoch} follows epoch {before}")
            last[key.trial_id] = record.epoch
            new.append((key, record))
        return new

    def _new_trials(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        first = {record.trial_id: record for record in reversed(records)}
        return [record for name, record in reversed(first.items()) if name not in self._ended]

    def _remember(self, epochs: Mapping[str, Span], ended: Iterable[str]) -> None:
        for name, span in epochs.items():
            self._last_epoch[name] = max(span.last, self._last_epoch.get(name, 0))
        self._ended.update(ended)

    def _resume(self, store: Store, keep: Mapping[str, int]) -> None:
        ended = store.trials(["trial_id"])
        limits = {trial_id: last for trial_id, last in keep.items() if last > 0}
        tally = EpochTally(store.trials(), gaps=self.study.imported)
        orphaned = []
        for name in store.files("epochs"):
            rows = store.read_file("epochs", name, ["trial_id", "epoch"])
            covered = _covered(rows, ended, limits)
            tally.add(count_epochs(rows.filter(covered)))
            if not pc.all(covered).as_py():
                orphaned.append((name, covered))
        # Nothing is changed in a store whose rows contradict each other.
        if problems := tally.problems(str(self.location / "epochs"), str(self.location)):
            raise StoreError(problems)
        self._remember(tally.spans, ended["trial_id"].to_pylist())
        for name, covered in orphaned:
            self._epochs.replace(name, self._epochs.read(name).filter(covered))
        self._trials.resume()
        self._epochs.resume()

    def _forget(self, store: Store, trial_ids: frozenset[str]) -> None:
        """Drop the rows of trials; their epochs then belong to no trial and go with the orphans."""
        gone = pa.array(sorted(trial_ids), pa.string())
        for name in store.files("trials"):
            kept = pc.invert(
                pc.is_in(store.read_file("trials", name, ["trial_id"])["trial_id"], value_set=gone)
            )
            if not pc.all(kept).as_py():
                self._trials.replace(name, self._trials.read(name).filter(kept))


def _covered(rows: Any, ended: Any, limits: Mapping[str, int]) -> Any:
    """Return a mask of the epochs that a trial row or a checkpoint covers; the rest will be run again."""
    covered = pc.is_in(rows["trial_id"], value_set=ended["trial_id"].combine_chunks())
    if limits:
        place = pc.index_in(rows["trial_id"], value_set=pa.array(list(limits), pa.string()))
        limit = pc.take(pa.array(list(limits.values()), pa.int64()), place)
        covered = pc.or_(covered, pc.fill_null(pc.less_equal(rows["epoch"], limit), False))
    return covered


def _refuse_other_study(folder: Location, study: StudyInfo) -> StudyInfo | None:
    """Return what ``study.json`` says, None where there is no store; ``StoreError`` for another study's."""
    names = folder.names()
    if STUDY_FILE not in names:
        if any((folder / table).names() for table in TABLES if table in names):
            remedy = f"Restore {STUDY_FILE} from a copy, or choose another --out"
            raise StoreError(Problem(str(folder), "", f"holds tables but no {STUDY_FILE}", remedy))
        return None
    file = folder / STUDY_FILE
    before = StudyInfo.from_json(file.read(), str(file))
    if (before.name, before.spec_hash) == (study.name, study.spec_hash):
        return before
    raise StoreError(Problem(str(folder), "", *_difference(folder, before, study)))


def _difference(folder: Location, before: StudyInfo, study: StudyInfo) -> tuple[str, str]:
    """A message on how the study of a store and the one to be written there differ, and the remedy."""
    if before.imported or study.imported:
        message = (
            f"belongs to the study {before.name!r}, which was made of other histories than {study.name!r}"
        )
        return message, "Choose another --out or --name, or delete the folder"
    changes = changes_between(before, study)
    keys = f"{len(changes)} {'key differs' if len(changes) == 1 else 'keys differ'} (there → now)"
    what = f"{keys}: {listed_changes(changes)}"
    if not changes:
        by = before.versions.get("lrstudy", "another version")
        what = f"no key differs, but lrstudy {by} wrote it and counted other keys"
    message = f"belongs to the study {before.name!r} as it was; {what}"
    remedy = (
        "Trials of two versions are never mixed. To run the changed study too, choose another --out or "
        f"another name; to continue the run as it began, undo the change or: lrstudy resume {folder}"
    )
    return message, remedy
