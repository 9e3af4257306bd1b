"""A whole study on Ray: one ``Tuner``, from the first missing trial to the last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

import ray
from ray import tune
from ray.exceptions import ObjectStoreFullError, OutOfDiskError, RayError

from lrstudy.compat.tune import no_usage_count
from lrstudy.errors import ClusterError, LrStudyError, Problem, StoreError
from lrstudy.records import EvaluationRecord, Phase, TrialRecord
from lrstudy.rules.outcome import learned
from lrstudy.rules.run_progress import Progress
from lrstudy.rules.spending import Spending
from lrstudy.safe_text import describe
from lrstudy.spec import Study
from lrstudy.store import Location, StoreWriter
from lrstudy.store.open_attempts import OpenAttempts, read_open_attempts
from lrstudy.store.stopped_schedules import with_stopped
from lrstudy.tasks import TaskData
from lrstudy.tuning.cluster.check_gpu_memory import check_gpu_memory
from lrstudy.tuning.cluster.check_nodes import check_nodes_write
from lrstudy.tuning.cluster.session import ray_session
from lrstudy.tuning.driver.asha import Pruner
from lrstudy.tuning.driver.best_so_far import BestSoFar
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.cost_watch import CostWatch
from lrstudy.tuning.driver.epoch_limit import EpochLimit
from lrstudy.tuning.driver.recorder import Recorder
from lrstudy.tuning.driver.retries import Retries
from lrstudy.tuning.driver.rounds import Rounds
from lrstudy.tuning.driver.trackers import Tracking
from lrstudy.tuning.driver.tuner import study_tuner
from lrstudy.tuning.driver.underway_file import UnderwayFile
from lrstudy.tuning.driver.whole_machine import WholeMachine
from lrstudy.tuning.resource_request import needs
from lrstudy.tuning.run_log import log_file, logged
from lrstudy.tuning.same_task import check_worker
from lrstudy.tuning.stop_request import StopRequest, withdraw_schedule_stops, withdraw_stop
from lrstudy.tuning.worker.checkpoints import remove_all_checkpoints, remove_ended
from lrstudy.tuning.worker.process import Payload
from lrstudy.tuning.worker.pruned_lanes import PrunedLanes

_log = logging.getLogger(__name__)

# The folder of Tune's files, while a study runs.
_SCRATCH: Final = "ray"
# The number of times in a row that an error may end Tune without a trial having ended since the last time.
_ENDS: Final = 3


class StudyRun:
    """One study and its progress.

    ``writer`` is its store's, ``finished`` are the records that the store already holds, ``rows`` their
    epochs by trial id; ``run`` runs the other trials and returns when no trial is missing, or when it was
    interrupted (then ``done`` is False).
    """

    def __init__(
        self,
        study: Study,
        writer: StoreWriter,
        finished: Sequence[TrialRecord],
        rows: Mapping[str, Sequence[EvaluationRecord]],
    ) -> None:
        self._study, self._writer = study, writer
        falls = {trial: learned([row.train_loss for row in epochs]) for trial, epochs in rows.items()}
        stopped = writer.study.stopped
        self._controller = Controller(study, finished, falls, writer.study.first_numbers, stopped)
        if self._stop_schedules(StopRequest(writer.location)):  # an earlier driver was killed before it did
            withdraw_schedule_stops(writer.location)
        every = (row.train_seconds + row.eval_seconds for epochs in rows.values() for row in epochs)
        self._limit = EpochLimit(study.faults.epoch_seconds, max(every, default=None))
        self._recorder: Recorder | None = None
        before = read_open_attempts(writer.location, {record.trial_id for record in finished})
        self._costs = CostWatch(study, writer.location, finished, before, shared=writer.study.lanes > 0)
        self._bests = BestSoFar(study.metric)
        for record in finished:
            if record.phase is not Phase.RANGE_TEST:
                self._bests.add_value(record.schedule, record.best_val)
        self._pruner = Pruner(study)
        for record in finished:
            self._pruner.restore(record, rows.get(record.trial_id, []))
        self._rounds = Rounds(study, self._controller, writer)
        self._rounds.look()  # a kill may have come between a round's last trial and its look

    @property
    def done(self) -> bool:
        """Return True if every trial has a record."""
        return self._controller.done

    @property
    def remaining(self) -> int:
        """The number of trials that have no record."""
        return self._controller.remaining

    @property
    def failures(self) -> list[TrialRecord]:
        """The records of the trials whose code raised, with its traceback in ``error``."""
        return self._controller.failures()

    @property
    def spending(self) -> Spending | None:
        """The cost of all trials and attempts so far; None if the study names no prices."""
        return self._costs.spending(self._open_attempts())

    @property
    def stopped_at_limit(self) -> Spending | None:
        """The cost with which the run was stopped because it has passed the study's limit, else None."""
        return self._costs.passed

    def _open_attempts(self) -> list[OpenAttempts]:
        return self._costs.slots.open({}) if self._recorder is None else self._recorder.open_attempts()

    def progress(self) -> Progress:
        """Return the current progress of the study."""
        study, recorder = self._study, self._recorder
        underway = {} if recorder is None else recorder.underway()
        rows = [self._controller.progress(schedule.name) for schedule in study.schedules]
        running = 0.0 if recorder is None else recorder.trained
        trained = running + sum(row.steps if study.clock == "steps" else row.epochs for row in rows)
        return Progress(
            schedules=tuple(rows),
            underway=underway,
            clock=study.clock,
            trained=trained,
            bests=self._bests.series,
            spending=self.spending,
        )

    def run(
        self,
        data: TaskData | None,
        *,
        address: str | None = None,
        session: str | None = None,
        search_path: tuple[str, ...] = (),
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Run every trial that has no record yet.

        ``session`` is the folder of Ray's own files if Ray runs already.

        Raises ``ClusterError`` before the first trial, or ``StoreError`` if rows can no longer be written;
        the rows written until then are complete.
        """
        writer = self._writer
        # In this order: Ray's start removes earlier handlers from its loggers.
        connection = ray_session(address, self._study.resources) if session is None else nullcontext(session)
        with connection as folder, logged(writer.location):
            _log.info("workers write to %s/logs", folder)
            _log.info("lanes: %s (%s)", writer.study.lanes or "none", writer.study.lanes_reason)
            if address is not None and self._study.faults.checkpoint_epochs:
                check_nodes_write(writer.location)
            shared = _shared(self._study, data)
            pruned = writer.study.lanes and self._study.budget.pruner != "none"
            request = needs(self._study.resources)
            check_worker(
                self._study, writer.study.fingerprints.get("model"), shared, request["CPU"], search_path
            )
            check_gpu_memory(self._study, shared, request, search_path)
            payload = Payload(
                shared=(shared,),
                key=self._study.spec_hash,
                store=writer.location,
                search_path=search_path,
                pruned_lanes=PrunedLanes.create() if pruned else None,
            )
            retries, stop = Retries(self._study.faults), StopRequest(writer.location)
            machine = WholeMachine()
            tracking = Tracking(self._study, writer.location)
            underway = UnderwayFile(writer.location)

            def on_step() -> None:
                self._stop_schedules(stop)
                underway.keep(recorder.underway())

            recorder = Recorder(
                self._study,
                self._controller,
                retries,
                writer,
                tracking,
                self._limit,
                on_change,
                on_step,
                self._bests,
                self._costs,
            )
            self._recorder = recorder
            # Tune needs a folder. Nothing is ever restored from it: the store has all results.
            scratch = writer.location / _SCRATCH
            try:
                remove_ended(writer.location, self._controller.ended)
                self._fit(
                    lambda: study_tuner(
                        self._study,
                        self._controller,
                        self._pruner,
                        recorder,
                        retries,
                        stop,
                        payload,
                        machine,
                        scratch,
                        lanes=writer.study.lanes,
                        more=lambda: self._next_round(recorder),
                    ),
                    recorder,
                    writer.location,
                )
            finally:
                recorder.flush()
                self._costs.keep(self._open_attempts())
                underway.remove()
                tracking.close()
                scratch.delete_folder()
                withdraw_stop(writer.location)
                if self._stop_schedules(StopRequest(writer.location)):
                    withdraw_schedule_stops(writer.location)
        # Rows that could not be written at first may have been written by now.
        if recorder.error is not None and (recorder.waiting or not self.done):
            raise recorder.error
        self.clean_up(writer.location)

    def _fit(self, tuner: Callable[[], tune.Tuner], recorder: Recorder, store: Location) -> None:
        """Run Tune to its end; if an error of a worker ends it, start it again with the running trials.

        Tune ends its whole run at an unexpected error. Such an error must not end a study while some trials
        still complete; if none does any more, all trials share the fault, and the study ends.
        """
        left, ends = self.remaining, 0
        while True:
            (store / _SCRATCH).delete_folder()  # a second run of the same name would mix with the first
            try:
                with no_usage_count():
                    tuner().fit()
            except LrStudyError:
                raise
            except Exception as error:
                cause = error.__cause__ if isinstance(error.__cause__, RayError) else error
                _log.info("Tune ended: %s", describe(cause), exc_info=error)
                recorder.lose_all(cause)
                left, ends = self.remaining, 1 if self.remaining < left else ends + 1
                if ends == _ENDS:
                    remedy = f"See {log_file(store)}, then: lrstudy resume."
                    message = f"trials no longer come to an end ({describe(cause)})"
                    raise ClusterError(Problem("Ray", "", message, remedy)) from error
            else:
                return

    def _stop_schedules(self, stop: StopRequest) -> bool:
        """Stop the schedules for which that was requested. Return True if ``study.json`` has them all.

        The reference cannot be stopped: the command refuses, and a file that names it is not the command's.
        """
        names = {spec.name for spec in self._study.schedules} - {self._study.target.reference}
        new = names.intersection(stop.schedules) - self._writer.study.stopped.keys()
        if not new:
            return True
        self._controller.stop(new)
        try:
            self._writer.rewrite(with_stopped(self._writer.study, new))
        except StoreError as error:
            _log.info("stopped schedules could not be noted: %s", error)
            return False
        _log.info("stopped by hand: %s", ", ".join(sorted(new)))
        return True

    def _next_round(self, recorder: Recorder) -> bool:
        """Return True if a look at the finished round adds trials; not if its rows could not be written."""
        recorder.flush()
        return recorder.error is None and self._rounds.look()

    def clean_up(self, store: Location) -> None:
        """Remove the files that only a resume needs from the store's folder, once the study is done."""
        if self.done:
            withdraw_stop(store)  # one that came while Ray shut down
            remove_all_checkpoints(store)
            (store / _SCRATCH).delete_folder()


def _shared(study: Study, data: TaskData | None) -> ray.ObjectRef[Any]:
    """Put the study and its data into Ray's object store; raises ``ClusterError`` if they do not fit."""
    try:
        return ray.put((study, data))
    except (ObjectStoreFullError, OutOfDiskError, MemoryError) as error:
        cause = describe(error).partition("\n")[0]
        message = f"the data set does not fit into Ray's object store ({cause})"
        remedy = "Use fewer rows (task.rows), or --address with a Ray that has more --object-store-memory."
        raise ClusterError(Problem("study", "task.dataset", message, remedy)) from error
