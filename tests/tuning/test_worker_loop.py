"""The worker's loop over a group of trials: what it sends, what it saves, and which trials fail."""

from __future__ import annotations

import pickle
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import torch.distributed as dist
from own_training import group as function_group
from own_training import loader_of, loss_of, parts_of, settings, train_steps, update
from test_lane_study import study, values

from lrstudy.engine.function import FunctionGroup, Trial
from lrstudy.engine.function.rank_training import Answer, train_rank
from lrstudy.engine.lanes.stacked_model import StackedModel
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import Phase, Status
from lrstudy.spec import Study
from lrstudy.store import open_location
from lrstudy.tasks import TaskData, load_data
from lrstudy.tuning.driver.running_trials import RunningTrial
from lrstudy.tuning.fault import Fault
from lrstudy.tuning.job import Job, group_config
from lrstudy.tuning.messages import Ended, Rung, Stopped, TrialMessage, WorkerReport
from lrstudy.tuning.stop_request import StopRequest
from lrstudy.tuning.worker import loop, rank_process, workers_group
from lrstudy.tuning.worker.mailbox import RanksEnded
from lrstudy.tuning.worker.process import Payload
from lrstudy.tuning.worker.workers_group import WorkersGroup

Messages = dict[str, list[TrialMessage]]
Worker = Callable[..., Messages]
THREE = (0.1, 0.05, 0.01)


class EndedByTuneError(Exception):
    """Tune ends a trial by an exception in its report."""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Worker:
    """Runs a group in this process; returns the messages that the driver would be sent, by trial."""
    folder = open_location(tmp_path)
    (folder / "study.json").write(b"")
    context = SimpleNamespace(get_node_id=lambda: "f" * 40)
    monkeypatch.setattr("ray.get_runtime_context", lambda: context)

    def run(
        spec: Study, jobs: list[Job], *, pruned: Any = None, in_lanes: bool | None = None, until: type = int
    ) -> Messages:
        """``until``: the event at which Tune ends the group."""
        found: Messages = {}

        def report(result: dict[str, Any]) -> None:
            for message in WorkerReport.of(pickle.loads(pickle.dumps(result))).messages:
                found.setdefault(message.trial_id, []).append(message)
                if isinstance(message.event, until):
                    raise EndedByTuneError

        data = load_data(spec.task, spec.seed, None)
        monkeypatch.setattr("ray.tune.report", report)
        monkeypatch.setattr(loop, "load", lambda *_: (spec, data))
        in_lanes = len(jobs) > 1 if in_lanes is None else in_lanes
        try:
            loop.trainable(
                group_config(jobs, in_lanes=in_lanes), Payload(cast("Any", ()), "", folder, (), pruned)
            )
        except EndedByTuneError:
            assert until is not int
        return found

    return run


def jobs(*rates: float, phase: Phase = Phase.TUNE) -> list[Job]:
    trials = enumerate(rates)
    return [Job(TrialConfig(f"f-tune-{i:03d}", phase, "f", "fixed", {"lr": r}, i)) for i, r in trials]


def rows_of(messages: list[TrialMessage]) -> list[dict[str, Any]]:
    """A trial's epochs as the driver reads them: an attempt that starts again sends them again."""
    running = RunningTrial(jobs(0.1)[0])
    for message in messages:
        running.add(message.rows)
    return [values(row) for row in running.rows]


def end_of(messages: list[TrialMessage]) -> Ended:
    assert isinstance(messages[-1].event, Ended)
    return messages[-1].event


def notes_of(messages: list[TrialMessage]) -> tuple[str, ...]:
    return tuple(note for message in messages for note in message.notes)


def ask_to_stop(monkeypatch: pytest.MonkeyPatch, *answers: bool) -> None:
    """The answers to the loop's questions, the last of them for ever."""
    given = list(answers)
    monkeypatch.setattr(StopRequest, "requested", property(lambda _: given.pop(0) if given[1:] else given[0]))


@pytest.mark.parametrize("rates", [THREE, THREE[:1]], ids=["lanes", "plain"])
def test_stopped_trials_continue_from_their_checkpoints(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rates: tuple[float, ...]
) -> None:
    spec = study()
    whole = worker(spec, jobs(*rates))
    ask_to_stop(monkeypatch, False, True)
    stopped = worker(spec, jobs(*rates))
    assert all(messages[-1].event == Stopped() for messages in stopped.values())
    assert {len(rows_of(messages)) for messages in stopped.values()} == {1}
    assert len(list((tmp_path / "checkpoints").rglob("*.pt"))) == len(rates)
    ask_to_stop(monkeypatch, False)
    again = worker(spec, jobs(*rates))
    assert len(again) == len(rates)
    for trial, messages in whole.items():
        assert rows_of(again[trial]) == rows_of(messages), "the epochs before the stop are sent again"
        assert end_of(again[trial]).outcome == end_of(messages).outcome
        assert end_of(again[trial]).checkpointed
        assert end_of(again[trial]).attempt.number == 2
        assert not end_of(messages).checkpointed


def test_trials_of_a_stopped_schedule_end_after_their_evaluation_and_the_others_are_as_without_it(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec, mixed = study(), jobs(*THREE)
    mixed[1] = Job(replace(mixed[1].config, schedule="other"))
    whole = worker(spec, mixed)
    answers: list[tuple[str, ...]] = [(), (), (), ("other",)]  # one for each trial before the first epoch
    monkeypatch.setattr(
        StopRequest, "schedules", property(lambda _: answers.pop(0) if answers[1:] else answers[0])
    )
    sent = worker(spec, mixed)
    stopped = sent.pop("f-tune-001")
    assert (stopped[-1].event, len(rows_of(stopped))) == (Stopped(), 1)
    assert [path.parent.name for path in (tmp_path / "checkpoints").rglob("*.pt")] == ["f-tune-001"]
    for trial, messages in sent.items():
        assert rows_of(messages) == rows_of(whole[trial])
        assert end_of(messages).outcome == end_of(whole[trial]).outcome
    assert worker(spec, mixed[1:2], in_lanes=True) == {
        "f-tune-001": [TrialMessage("f-tune-001", (), Stopped())]
    }, "one that was handed out just before the stop does not begin"


def test_a_stop_requested_before_the_start_trains_nothing(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_to_stop(monkeypatch, True)
    sent = worker(study(), jobs(*THREE))
    assert list(sent.values()) == [[TrialMessage(t, (), Stopped())] for t in sent]
    assert len(sent) == 3


def test_a_trial_whose_checkpoint_does_not_fit_starts_again_and_says_so(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = study()
    whole = worker(spec, jobs(*THREE))
    ask_to_stop(monkeypatch, False, True)
    worker(spec, jobs(*THREE))
    ask_to_stop(monkeypatch, False)
    loaded = Training.load_state_dict

    def misfit(self: Training, state: dict[str, Any]) -> None:
        loaded(self, state)
        if self._config.params["lr"] == 0.05:
            raise KeyError("momentum")

    monkeypatch.setattr(Training, "load_state_dict", misfit)
    again = worker(spec, jobs(*THREE))
    assert {trial: rows_of(messages) for trial, messages in again.items()} == {
        trial: rows_of(messages) for trial, messages in whole.items()
    }
    notes = {trial: notes_of(messages) for trial, messages in again.items()}
    assert "f-tune-001: its checkpoint does not fit: KeyError: 'momentum'" in notes.pop("f-tune-001")
    assert set(notes.values()) == {()}
    assert end_of(again["f-tune-001"]).attempt.number == 1


def test_a_pruned_lane_is_trained_no_further_and_sends_nothing_more(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pruned:
        def among(self, trials: list[str]) -> list[str]:
            return [trial for trial in trials if trial == "f-tune-001"]

    stacked, built = [], StackedModel.__init__

    def count(self: StackedModel, models: list[Any]) -> None:
        stacked.append(len(models))
        built(self, models)

    monkeypatch.setattr(StackedModel, "__init__", count)
    spec = study(budget={"pruner": "asha", "reduction": 2, "search": "random"})
    found = worker(spec, jobs(*THREE), pruned=Pruned())
    assert stacked == [3, 2]
    rungs = {
        trial: [message.event.epoch for message in messages if isinstance(message.event, Rung)]
        for trial, messages in found.items()
    }
    assert rungs == {"f-tune-000": [1, 2], "f-tune-001": [1], "f-tune-002": [1, 2]}
    assert [row["epoch"] for row in rows_of(found["f-tune-001"])] == [1]
    assert [row["epoch"] for row in rows_of(found["f-tune-002"])] == [1, 2, 3]


@pytest.mark.parametrize("in_lanes", [False, True])
def test_a_trial_that_tune_ends_at_a_rung_has_not_failed(worker: Worker, in_lanes: bool) -> None:
    spec = study(budget={"pruner": "asha", "reduction": 2, "search": "random"})
    (messages,) = worker(spec, jobs(0.1), until=Rung, in_lanes=in_lanes).values()
    assert [type(message.event) for message in messages] == [Rung]
    (row,) = messages[0].rows
    assert isinstance(messages[0].event, Rung)
    assert (messages[0].event.epoch, messages[0].event.objective) == (1, row.val_accuracy)


def test_only_tuning_trials_are_at_rungs(worker: Worker) -> None:
    spec = study(budget={"pruner": "asha", "reduction": 2, "search": "random"})
    (messages,) = worker(spec, jobs(0.1, phase=Phase.CONFIRM)).values()
    assert [type(message.event) for message in messages] == [Ended]
    assert end_of(messages).outcome.test


def break_training(monkeypatch: pytest.MonkeyPatch, error: BaseException, rate: float) -> list[int]:
    """Training with this rate raises in its second epoch; returns the epochs that any began."""
    epochs: list[int] = []
    noted = Training._record

    def broken(self: Training, *given: Any) -> Any:
        epochs.append(self.epoch + 1)
        if self._config.params["lr"] == rate and self.epoch == 1:
            raise error
        return noted(self, *given)

    monkeypatch.setattr(Training, "_record", broken)
    return epochs


def test_of_a_group_that_raises_each_trial_is_run_alone_and_only_those_that_raise_again_fail(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = worker(study(), jobs(*THREE))
    break_training(monkeypatch, ValueError("no such thing"), 0.05)
    sent = worker(study(), jobs(*THREE))
    ends = [end_of(messages) for _, messages in sorted(sent.items())]
    assert [end.outcome.status for end in ends] == [Status.COMPLETED, Status.FAILED, Status.COMPLETED]
    assert "no such thing" in (ends[1].outcome.error or "")
    assert ends[1].outcome.evaluations == 1
    assert [end.fault for end in ends] == [None, Fault.ERROR, None]
    for trial in ("f-tune-000", "f-tune-002"):
        assert rows_of(sent[trial]) == rows_of(whole[trial])


@pytest.mark.parametrize(
    ("error", "fault", "says"),
    [
        (MemoryError("no room"), Fault.MEMORY, "MemoryError: no room"),
        (KeyboardInterrupt(), Fault.ERROR, "KeyboardInterrupt"),
        (StopIteration("no more batches"), Fault.ERROR, "StopIteration: no more batches"),
    ],
)
def test_whatever_a_trial_raises_is_its_outcome(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, error: BaseException, fault: Fault, says: str
) -> None:
    epochs = break_training(monkeypatch, error, 0.1)
    (messages,) = worker(study(), jobs(0.1)).values()
    assert epochs == [1, 2], "a trial by itself is not run again here"
    end = end_of(messages)
    assert (end.outcome.status, end.outcome.evaluations, end.fault) == (Status.FAILED, 1, fault)
    assert (end.outcome.error or "").splitlines()[-1] == says


def timed(target: float, stop: str = "all", arrival: str = "first") -> Study:
    """Six epochs, judged by the time to a target."""
    budget = {"trials": 4, "confirm_seeds": 3, "search": "random", "objective": "target", "stop": stop}
    return study(
        task=study().to_json()["task"] | {"epochs": 6},
        budget=budget,
        target={"values": [target], "reference": "fixed", "arrival": arrival},
    )


def accuracies(messages: list[TrialMessage]) -> list[float]:
    return [row["val_accuracy"] for row in rows_of(messages)]


@pytest.mark.parametrize("rates", [THREE, THREE[:1]], ids=["lanes", "plain"])
def test_runs_end_with_their_last_target_and_have_the_rows_and_the_test_of_that_time(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, rates: tuple[float, ...]
) -> None:
    whole = worker(timed(0.5, "never"), jobs(*rates, phase=Phase.CONFIRM))
    first = accuracies(whole["f-tune-000"])
    assert first[0] < first[1] < first[2]
    spec = timed(first[1])
    ended = worker(spec, jobs(*rates, phase=Phase.CONFIRM))
    for trial, messages in ended.items():
        wanted, outcome = accuracies(whole[trial]), end_of(messages).outcome
        length = next((k for k, value in enumerate(wanted, 1) if value >= first[1]), 6)
        assert accuracies(messages) == pytest.approx(wanted[:length])
        assert (outcome.status, outcome.evaluations) == (Status.COMPLETED, length)
        assert outcome.best_val == max(accuracies(messages))
        assert outcome.test["accuracy"] > 0
    assert end_of(ended["f-tune-000"]).outcome.evaluations == 2
    assert end_of(ended["f-tune-000"]).outcome.objective == 2
    # At the end of a whole run that would be the weights of its best epoch.
    at_best = end_of(whole["f-tune-000"]).outcome
    assert end_of(ended["f-tune-000"]).outcome.test != at_best.test
    # Resumed from a checkpoint before the end, also where the target takes several evaluations in a row.
    staying = timed(first[1], arrival="stay:2")
    uninterrupted = worker(staying, jobs(*rates, phase=Phase.CONFIRM))
    ask_to_stop(monkeypatch, False, False, True)
    stopped = worker(staying, jobs(*rates, phase=Phase.CONFIRM))
    assert len(accuracies(stopped["f-tune-000"])) == 2
    ask_to_stop(monkeypatch, False)
    again = worker(staying, jobs(*rates, phase=Phase.CONFIRM))
    for trial, messages in uninterrupted.items():
        assert rows_of(again[trial]) == rows_of(messages)
        assert end_of(again[trial]).outcome == end_of(messages).outcome
    assert end_of(again["f-tune-000"]).outcome.evaluations == 3
    assert end_of(again["f-tune-000"]).attempt.number == 2


@pytest.mark.parametrize("rates", [THREE, THREE[:1]], ids=["lanes", "plain"])
def test_a_tuning_run_that_can_no_longer_win_is_pruned_and_counts_as_one_without_an_arrival(
    worker: Worker, rates: tuple[float, ...]
) -> None:
    capped = [Job(replace(job.config, cap=3.0 if i == 0 else None)) for i, job in enumerate(jobs(*rates))]
    ended = worker(timed(0.999, "tune"), capped)
    whole = worker(timed(0.999, "never"), jobs(*rates))
    for trial, messages in ended.items():
        length = 3 if trial == "f-tune-000" else 6
        outcome = end_of(messages).outcome
        assert outcome.status is (Status.PRUNED if length == 3 else Status.COMPLETED)
        assert outcome.evaluations == length
        assert accuracies(messages) == pytest.approx(accuracies(whole[trial])[:length])
        assert outcome.objective is not None
        assert 6 < outcome.objective < 12
    assert end_of(whole["f-tune-000"]).outcome.status is Status.COMPLETED


def test_a_function_with_its_own_loop_ends_with_its_target_too(function_worker: Worker) -> None:
    target = {"metric": "val_loss", "values": [1e9], "arrival": "stay:2"}
    spec = study(target=target, budget={"objective": "target", "stop": "all"})
    (messages,) = function_worker(spec, jobs(0.1)).values()
    assert end_of(messages).outcome.status is Status.COMPLETED
    assert len(losses(messages)) == 2
    assert notes_of(messages) == ()


def train_unkept(trial: Trial) -> None:
    """The same without anything kept for a checkpoint."""
    trial.keep = lambda **kept: None  # type: ignore[method-assign]
    train_steps(trial)


@pytest.fixture
def function_worker(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """Trains a user's function for 6 steps, with an evaluation after every second step."""

    def run(
        spec: Study, jobs: list[Job], *, function: Callable[[Trial], None] = train_steps, **how: Any
    ) -> Messages:
        def start(*given: Any, in_lanes: bool) -> FunctionGroup:
            return function_group(function, "fixed", steps=6, evaluate_every=2, end_seconds=0.2)

        monkeypatch.setattr(loop, "start_group", start)
        return worker(spec, jobs, **how)

    return run


def losses(messages: list[TrialMessage]) -> list[float]:
    return [row["val_loss"] for row in rows_of(messages)]


def test_a_function_with_its_own_loop_is_trained_stopped_within_an_epoch_and_continued(
    function_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = function_worker(study(), jobs(0.1)).values()
    assert end_of(whole).outcome.evaluations == len(losses(whole)) == 3
    # After the third step: a pause each at steps 1 and 2, at the evaluation, and at step 3.
    ask_to_stop(monkeypatch, False, False, False, False, True)
    (stopped,) = function_worker(study(), jobs(0.1)).values()
    assert stopped[-1].event == Stopped()
    assert losses(stopped) == losses(whole)[:1]
    ask_to_stop(monkeypatch, False)
    (again,) = function_worker(study(), jobs(0.1)).values()
    assert losses(again) == losses(whole)
    assert end_of(again).attempt.number == 2


def test_a_function_that_is_stopped_before_its_first_evaluation_can_be_continued(
    function_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = function_worker(study(), jobs(0.1)).values()
    ask_to_stop(monkeypatch, False, True)
    (stopped,) = function_worker(study(), jobs(0.1)).values()
    assert stopped == [TrialMessage("f-tune-000", (), Stopped())]
    ask_to_stop(monkeypatch, False)
    (again,) = function_worker(study(), jobs(0.1)).values()
    assert losses(again) == losses(whole)
    assert end_of(again).attempt.number == 2


def test_a_function_that_keeps_nothing_is_trained_to_its_end_with_a_warning(
    function_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_to_stop(monkeypatch, False, True)
    (messages,) = function_worker(study(), jobs(0.1), function=train_unkept).values()
    assert end_of(messages).outcome.evaluations == 3
    assert not end_of(messages).checkpointed
    (note,) = notes_of(messages)
    assert "keeps nothing (trial.keep)" in note


def test_a_second_request_stops_a_function_that_keeps_nothing(
    function_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_to_stop(monkeypatch, False, True)
    monkeypatch.setattr(StopRequest, "urgent", property(lambda _: True))
    (messages,) = function_worker(study(), jobs(0.1), function=train_unkept).values()
    assert messages[-1].event == Stopped()
    assert losses(messages) == []


def test_evaluations_are_replaced_where_a_function_starts_again(
    function_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(trial: Trial) -> None:
        """Keeps an object more than the function that the checkpoint is of."""
        trial.keep(another=torch.nn.Linear(1, 1))
        train_steps(trial)

    (whole,) = function_worker(study(), jobs(0.1), function=other).values()
    ask_to_stop(monkeypatch, *[False] * 6, True)
    (stopped,) = function_worker(study(), jobs(0.1)).values()
    assert len(losses(stopped)) == 2
    ask_to_stop(monkeypatch, False)
    (again,) = function_worker(study(), jobs(0.1), function=other).values()
    assert losses(again) == losses(whole)
    assert end_of(again).outcome.evaluations == 3
    assert any("does not fit" in note for note in notes_of(again))


def test_a_function_that_does_not_end_fails_its_trial_and_ends_the_process_after_the_last_report(
    function_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def stays(trial: Trial) -> None:
        model, optimizer, schedule = parts_of(trial, loader := loader_of())
        for batch in trial.steps(loader):
            update(loss_of(model, batch), optimizer, schedule)
            try:
                if trial.due:
                    trial.report(val_loss=float("nan"))
            except BaseException:  # noqa: BLE001 - what is tested
                released.wait()

    ended: list[str] = []
    monkeypatch.setattr(loop, "end_process", lambda: ended.append("ended"))
    (messages,) = function_worker(study(), jobs(0.1), function=stays).values()
    released.set()
    assert ended == ["ended"]
    end = end_of(messages)
    assert (end.outcome.status, end.fault) == (Status.FAILED, Fault.ERROR)
    assert "did not end within 0.2 s" in (end.outcome.error or "")
    assert f"{Path(__file__).name}, line {stays.__code__.co_firstlineno}" in (end.outcome.error or "")


def test_a_function_is_at_a_rung_once(function_worker: Worker) -> None:
    spec = study(budget={"pruner": "asha", "reduction": 2, "search": "random"})
    (messages,) = function_worker(spec, jobs(0.1)).values()
    assert [message.event.epoch for message in messages if isinstance(message.event, Rung)] == [1, 2]


class Letters:
    """A mailbox within one process."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        self.closed = False

    def put(self, message: Any, *attached: Any) -> None:
        self.messages.put((message, attached))

    def exchange(self, message: Any, *attached: Any) -> Answer:
        self.put(message, *attached)
        return self.answers.get(timeout=60)

    def next(self) -> Any:
        return self.messages.get(timeout=60)

    def answer(self, answer: Answer) -> None:
        self.answers.put(answer)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def ranks(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Worker, list[Letters]]]:
    """Trains rank 0 of a trial of worker processes in a thread, as ``function_worker`` does; the mailboxes.

    ``test_rank_training`` shows that several ranks move together.
    """
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    opened: list[Letters] = []

    def create() -> Letters:
        opened.append(Letters())
        return opened[-1]

    def fit(start: Any, *_: Any) -> None:
        state = None if start.packed is None else workers_group.unpack(start.packed[0])
        desk = rank_process._MailboxDesk(start.mailbox)
        train_rank(
            train_steps, settings("fixed", steps=6, evaluate_every=2), desk, state, rank=0, world_size=1
        )

    monkeypatch.setattr(workers_group.Mailbox, "create", create)
    monkeypatch.setattr(workers_group, "fit_ranks", fit)
    monkeypatch.setattr("ray.put", lambda value: value)
    monkeypatch.setattr("ray.get", lambda value: value)

    def start(
        spec: Study, data: TaskData, configs: list[TrialConfig], *_: Any, in_lanes: bool
    ) -> WorkersGroup:
        return WorkersGroup(Payload(cast("Any", ()), "", cast("Any", None), ()), spec, configs[0], {}, str)

    monkeypatch.setattr(loop, "start_group", start)
    yield worker, opened
    dist.destroy_process_group()


def test_a_trial_of_worker_processes_is_stopped_after_a_report_and_continued(
    ranks: tuple[Worker, list[Letters]], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, opened = ranks
    (whole,) = worker(study(), jobs(0.1)).values()
    assert end_of(whole).outcome.evaluations == len(losses(whole)) == 3
    ask_to_stop(monkeypatch, False, True)
    (stopped,) = worker(study(), jobs(0.1)).values()
    assert stopped[-1].event == Stopped()
    assert losses(stopped) == losses(whole)[:1]
    assert opened[1].closed, "its processes have been waited for"
    ask_to_stop(monkeypatch, False)
    (again,) = worker(study(), jobs(0.1)).values()
    assert losses(again) == losses(whole)
    assert end_of(again).attempt.number == 2


def test_the_processes_of_a_pruned_trial_end_with_it(ranks: tuple[Worker, list[Letters]]) -> None:
    worker, opened = ranks
    spec = study(budget={"pruner": "asha", "reduction": 2, "search": "random"})
    (messages,) = worker(spec, jobs(0.1), until=Rung).values()
    assert [type(message.event) for message in messages] == [Rung]
    (mailbox,) = opened
    assert mailbox.closed
    assert isinstance(mailbox.next()[0], RanksEnded)


def test_a_trial_that_cannot_be_built_fails(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Training, study: Study, data: TaskData, *rest: Any) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(Training, "__init__", broken)
    sent = worker(study(), jobs(*THREE))
    assert {end_of(messages).outcome.status for messages in sent.values()} == {Status.FAILED}
    assert len(sent) == 3
