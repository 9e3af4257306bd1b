"""What a training function may do wrong: one message with its line, the cause and the remedy."""

from __future__ import annotations

import os
import random
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_training import (
    Data,
    Net,
    Stream,
    evaluate,
    group,
    loader_of,
    loss_of,
    parts_of,
    problem_of,
    rows_of,
    saved,
    states_of,
    train_steps,
    update,
    values,
)

from lrstudy.engine.function import Trial, try_training
from lrstudy.engine.group import LeftoverError
from lrstudy.errors import ContractError

Body = Callable[[Trial, Any, Any, Any, Any], None]


def training(step: Body, **loader: Any) -> Callable[[Trial], None]:
    """A plain loop with another body: ``step(trial, model, optimizer, schedule, batch)``."""

    def train(trial: Trial) -> None:
        batches = loader_of(**loader)
        model, optimizer, schedule = parts_of(trial, batches)
        for batch in trial.steps(batches):
            step(trial, model, optimizer, schedule, batch)

    return train


def reporting(report: Callable[[Trial], None]) -> Callable[[Trial], None]:
    def step(trial: Trial, model: Any, optimizer: Any, schedule: Any, batch: Any) -> None:
        update(loss_of(model, batch), optimizer, schedule)
        if trial.due:
            report(trial)

    return training(step)


def stepping(move: Callable[[Any, Any], None]) -> Callable[[Trial], None]:
    """``move(optimizer, schedule)`` takes the place of a step of each."""

    def step(trial: Trial, model: Any, optimizer: Any, schedule: Any, batch: Any) -> None:
        loss_of(model, batch).backward()
        move(optimizer, schedule)
        if trial.due:
            trial.report(val_loss=1.0)

    return training(step)


def twice(optimizer: Any, schedule: Any) -> None:
    optimizer.step()
    schedule.step()
    schedule.step()


def report_twice(trial: Trial) -> None:
    trial.report(val_loss=1.0)
    trial.report(val_loss=1.0)


def report_undue(trial: Trial, model: Any, optimizer: Any, schedule: Any, batch: Any) -> None:
    update(loss_of(model, batch), optimizer, schedule)
    trial.report(val_loss=1.0)


def never_schedules(trial: Trial) -> None:
    for _ in trial.steps(loader_of()):
        pass


def reports_without_schedule(trial: Trial) -> None:
    trial.report(val_loss=1.0)


def steps_per_epoch(trial: Trial) -> None:
    """As torch's schedulers by epochs."""
    loader = loader_of()
    model, optimizer, schedule = parts_of(trial, loader)
    for _ in trial.epochs():
        for batch in trial.steps(loader):
            loss_of(model, batch).backward()
            optimizer.step()
        schedule.step()
        trial.report(val_loss=1.0)


def own_loop_per_epoch(trial: Trial) -> None:
    loader = loader_of()
    model, optimizer, schedule = parts_of(trial, loader)
    for _ in range(4):
        for batch in loader:
            loss_of(model, batch).backward()
            optimizer.step()
        schedule.step()
        trial.report(val_loss=1.0)


def steps_another_optimizer(trial: Trial) -> None:
    loader, model = loader_of(), Net()
    schedule = trial.schedule(torch.optim.SGD(model.parameters(), lr=0.1), loader=loader)
    other = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in trial.steps(loader):
        update(loss_of(model, batch), other, schedule)


def steps_the_given_optimizer(trial: Trial) -> None:
    loader, model = loader_of(), Net()
    given = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = trial.schedule(given, loader=loader)
    for batch in trial.steps(loader):
        update(loss_of(model, batch), given, schedule)


def passes_a_model(trial: Trial) -> None:
    trial.schedule(Net())  # type: ignore[arg-type]


def raises(trial: Trial) -> None:
    raise ZeroDivisionError("in the training")


class BrokenRows(Data):
    def __getitem__(self, index: int) -> Any:
        raise OSError("no such row")


def breaks_in_a_worker(trial: Trial) -> None:
    train_steps(trial, loader_of(BrokenRows(), num_workers=1))


def ends_the_program(trial: Trial) -> None:
    sys.exit(3)


def returns_early(trial: Trial) -> None:
    loader = loader_of()
    model, optimizer, schedule = parts_of(trial, loader)
    for batch in trial.steps(loader):
        update(loss_of(model, batch), optimizer, schedule)
        trial.report(val_loss=1.0)
        return


def reports_nothing(trial: Trial) -> None:
    loader = loader_of()
    model, optimizer, schedule = parts_of(trial, loader)
    for batch in trial.steps(loader):
        update(loss_of(model, batch), optimizer, schedule)


def does_nothing(trial: Trial) -> None:
    pass


class Stateful:
    def __init__(self, state: Any) -> None:
        self.state = state

    def state_dict(self) -> Any:
        return self.state() if callable(self.state) else self.state

    def load_state_dict(self, state: Any) -> None:
        self.state = state


def keeping(**objects: Any) -> Callable[[Trial], None]:
    def train(trial: Trial) -> None:
        trial.keep(**objects)
        train_steps(trial)

    return train


def keeps_late(trial: Trial) -> None:
    loader = loader_of()
    model, _, _ = parts_of(trial, loader)
    for _ in trial.steps(loader):
        trial.keep(late=model)


def schedules_late(trial: Trial) -> None:
    loader = loader_of()
    _, optimizer, _ = parts_of(trial, loader)
    for _ in trial.steps(loader):
        trial.schedule(optimizer)


def keeps_two_of_a_name(trial: Trial) -> None:
    trial.keep(model=Net())
    trial.keep(model=Net())


def rows() -> Iterator[Any]:
    yield from loader_of()


def with_loader(make: Callable[[], Any], **given: Any) -> Callable[[Trial], None]:
    return lambda trial: train_steps(trial, make(), **given)


class Shrinking:
    """Fewer batches in every pass than it says."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Any]:
        return iter(list(loader_of())[:2])


def uses_another_thread(trial: Trial) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            train_steps(trial)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    raise errors[0]


def evaluates_in_an_evaluation(trial: Trial) -> None:
    with trial.evaluating(), trial.evaluating():
        pass


def asks_for_epochs(trial: Trial) -> None:
    parts_of(trial, loader_of())
    for _ in trial.epochs():
        pass


def no_state() -> Any:
    raise KeyError("a state")


EVERY = {"steps": 6, "evaluate_every": 2}
EPOCHS = {"epochs": 3}
ALL_STEPS = {"steps": 30}
# What is done, with which task, and what the message must say: the cause, and the remedy.
CASES: dict[str, tuple[Callable[[Trial], None], dict[str, Any], str, str]] = {
    "a missing metric": (reporting(lambda t: t.report()), EVERY, "lacks val_loss", "every declared metric"),
    "a wrong name": (
        reporting(lambda t: t.report(val_los=1.0, val_loss=1.0)),
        EVERY,
        "val_los is not one of task.metrics",
        "Did you mean 'val_loss'?",
    ),
    "a text": (reporting(lambda t: t.report(val_loss="1.0")), EVERY, "no number (str)", "float(…)"),
    "None": (reporting(lambda t: t.report(val_loss=None)), EVERY, "no number (NoneType)", "float(…)"),
    "two elements": (
        reporting(lambda t: t.report(val_loss=torch.zeros(2))),
        EVERY,
        "no number (Tensor of shape (2,))",
        "one number",
    ),
    "an array": (
        reporting(lambda t: t.report(val_loss=np.zeros(2))),
        EVERY,
        "no number (ndarray of shape (2,))",
        "one number",
    ),
    "negative tokens": (
        reporting(lambda t: t.report(val_loss=1.0, tokens=-1)),
        EVERY,
        "tokens is no count",
        "total tokens since the start",
    ),
    "tokens that are NaN": (
        reporting(lambda t: t.report(val_loss=1.0, tokens=float("nan"))),
        EVERY,
        "tokens is no count",
        "total tokens since the start",
    ),
    "tokens that fall": (
        reporting(lambda t: t.report(val_loss=1.0, tokens=100 - t.step)),
        EVERY,
        "tokens went from 98 down to 96",
        "total tokens since the start",
    ),
    "two reports at a step": (
        reporting(report_twice),
        EVERY,
        "called twice at step 2",
        "Report once",
    ),
    "a report where none is due": (
        training(report_undue),
        EVERY,
        "at step 1, where none is due (evaluate_every = 2)",
        "`if trial.due:`",
    ),
    "no report where one is due": (
        reports_nothing,
        EVERY,
        "no trial.report at step 2",
        "`if trial.due:`",
    ),
    "no report at all": (
        reports_nothing,
        {"steps": 3},
        "returned without a trial.report",
        "Report the declared",
    ),
    "nothing": (does_nothing, EVERY, "returned without a trial.report", "Report the declared"),
    "no schedule": (never_schedules, EVERY, "trial.schedule was never called", "with the optimizer"),
    "a report without a schedule": (
        reports_without_schedule,
        EVERY,
        "trial.schedule was never called",
        "with the optimizer",
    ),
    "a schedule never stepped": (
        stepping(lambda optimizer, schedule: optimizer.step()),
        EVERY,
        "schedule.step() was not called in step 1",
        "after every optimizer.step()",
    ),
    "a schedule stepped twice": (
        stepping(twice),
        EVERY,
        "schedule.step() was called twice in step 1",
        "after every optimizer.step()",
    ),
    "a schedule stepped per epoch": (
        steps_per_epoch,
        EPOCHS,
        "schedule.step() was not called in step 1",
        "not once per epoch",
    ),
    "a schedule stepped per epoch in a loop of one's own": (
        own_loop_per_epoch,
        EPOCHS,
        "called 1 times in 3 optimizer steps",
        "not once per epoch",
    ),
    "an optimizer never stepped": (
        stepping(lambda optimizer, schedule: schedule.step()),
        ALL_STEPS,
        "11 steps of the schedule and 0 of its optimizer",
        "Step the optimizer that trial.schedule got",
    ),
    "another optimizer": (
        steps_another_optimizer,
        ALL_STEPS,
        "11 steps of the schedule and 0 of its optimizer",
        "Step the optimizer that trial.schedule got",
    ),
    "no optimizer": (passes_a_model, EVERY, "got a Net, not an optimizer", "torch.optim.Optimizer"),
    "sys.exit": (ends_the_program, EVERY, "ended the program: SystemExit: 3", "Return from it"),
    "an early return": (
        returns_early,
        {"steps": 4},
        "returned after 1 of 4 steps",
        "to the end of trial.steps",
    ),
    "an object without state": (
        keeping(size=3),
        EVERY,
        "size is a int, which has no state_dict and no load_state_dict",
        "Keep objects with both",
    ),
    "a state that cannot be pickled": (
        keeping(thing=Stateful({"f": lambda: None})),
        EVERY,
        "the state_dict of thing (Stateful) cannot be saved",
        "Let it return tensors",
    ),
    "a state of another class": (
        keeping(thing=Stateful({"path": Path()})),
        EVERY,
        "the state_dict of thing (Stateful) cannot be loaded safely",
        "Let it return tensors",
    ),
    "a state that raises": (
        keeping(thing=Stateful(no_state)),
        EVERY,
        "the state_dict of thing raised KeyError: 'a state'",
        "do not keep that object",
    ),
    "nothing kept": (keeping(), EVERY, "without an object", "trial.keep(model=model)"),
    "two objects of a name": (keeps_two_of_a_name, EVERY, "two objects named model", "its own name"),
    "kept late": (keeps_late, EVERY, "trial.keep was called after the training began", "before trial.steps"),
    "scheduled late": (
        schedules_late,
        EVERY,
        "trial.schedule was called after the training began",
        "before trial.steps",
    ),
    "a generator": (with_loader(rows), EVERY, "got a generator", "Pass what it was made from"),
    "no batch": (with_loader(list), EVERY, "the loader gave no batch", "at least one batch"),
    "a loader without length": (
        with_loader(lambda: loader_of(Stream())),
        EPOCHS,
        "does not know how many steps an epoch has",
        "steps_per_epoch=…",
    ),
    "passes of another length": (
        with_loader(Shrinking),
        EPOCHS,
        "the pass had 2 optimizer steps, and the schedule was made for 3",
        "steps_per_epoch=…",
    ),
    "another thread": (uses_another_thread, EVERY, "in another thread", "in the function itself"),
    "an evaluation in an evaluation": (
        evaluates_in_an_evaluation,
        EVERY,
        "entered twice",
        "Leave the first block",
    ),
    "epochs of a study in steps": (
        asks_for_epochs,
        EVERY,
        "needs [task] epochs, and the study gives steps",
        "trial.steps(loader)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_broken_contract_is_one_message_with_line_cause_and_remedy(name: str) -> None:
    function, task, cause, remedy = CASES[name]
    error = problem_of(function, **task)
    assert isinstance(error, ContractError), error
    (problem,) = error.problems
    assert cause in problem.message
    assert remedy in problem.remedy
    assert re.search(r" \(\S+/(test_broken_contract|own_training)\.py, line \d+\)$", problem.message)


def test_a_competitor_refuses_the_optimizer_that_it_replaced() -> None:
    pytest.importorskip("prodigyopt")
    error = problem_of(steps_the_given_optimizer, "prodigy", params={}, **EVERY)
    assert "brings its own optimizer, and another one was stepped" in str(error)
    assert "own_training.py, line" in str(error)


def test_all_that_is_wrong_with_a_report_is_told_at_once() -> None:
    error = problem_of(reporting(lambda t: t.report(loss=1.0, val_loss="x", tokens=0.5)), **EVERY)
    assert isinstance(error, ContractError)
    assert len(error.problems) == 3


@pytest.mark.parametrize(
    ("function", "kind", "says"),
    [
        (raises, ZeroDivisionError, "in the training"),
        (breaks_in_a_worker, OSError, "no such row"),
    ],
)
def test_an_exception_is_raised_as_it_is(
    function: Callable[[Trial], None], kind: type[Exception], says: str
) -> None:
    error = problem_of(function, **EVERY)
    assert isinstance(error, kind)
    assert says in str(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e10])
def test_a_loss_that_is_not_finite_or_too_large_ends_the_trial_as_diverged(value: float) -> None:
    trained = group(reporting(lambda t: t.report(val_loss=value)), **EVERY)
    assert len(rows_of(trained)) == 1
    assert "val_loss" in (trained.outcome(0).error or "")
    assert "at step 2" in (trained.outcome(0).error or "")


def test_a_function_that_catches_the_end_of_its_trial_may_still_return() -> None:
    def catches(trial: Trial) -> None:
        with suppress(BaseException):
            reporting(lambda t: t.report(val_loss=float("nan")))(trial)

    assert len(rows_of(group(catches, **EVERY))) == 1


def test_a_function_that_does_not_end_is_left_with_its_place() -> None:
    released = threading.Event()

    def stays(trial: Trial) -> None:
        try:
            train_steps(trial)
        finally:
            released.wait()

    trained = group(stays, end_seconds=0.1, **EVERY)
    next(iter(trained.run()))
    with pytest.raises(LeftoverError, match=rf"did not end within 0.1 s .*line {line_of(stays)}\)"):
        trained.close()
    released.set()


def line_of(function: Any) -> int:
    return int(function.__code__.co_firstlineno)


def test_a_thread_that_outlives_its_function_ends_at_its_next_call() -> None:
    released, ended = threading.Event(), threading.Event()

    def leaves(trial: Trial) -> None:
        def later() -> None:
            released.wait()
            try:
                trial.report(val_loss=0.0)
            except BaseException:  # noqa: BLE001 - what is tested
                ended.set()

        train_steps(trial)
        threading.Thread(target=later).start()

    trained = group(leaves, **EVERY)
    assert len(rows_of(trained)) == 3
    assert any("left a thread running (" in note for note in trained.notes(0))
    released.set()
    assert ended.wait(5)


def test_a_checkpoint_that_does_not_fit_starts_the_trial_again() -> None:
    def wider(trial: Trial) -> None:
        trial.keep(more=torch.nn.Linear(1, 1))
        train_steps(trial)

    def swallows(trial: Trial) -> None:
        with suppress(BaseException):
            wider(trial)

    whole = rows_of(group(wider, **EVERY))
    state = [state for _, state in states_of(group(train_steps, **EVERY))][3]
    for function in (wider, swallows):
        trained = group(function, **EVERY)
        trained.load(0, state)
        assert rows_of(trained) == whole
        assert any("does not fit" in note for note in trained.notes(0))


def test_a_function_that_keeps_in_vain_is_told_so() -> None:
    def own_loop(trial: Trial) -> None:
        loader = loader_of()
        model, optimizer, schedule = parts_of(trial, loader)
        for step in range(6):
            update(loss_of(model, next(iter(loader))), optimizer, schedule)
            if step % 2:
                trial.report(val_loss=evaluate(trial, model))

    trained = group(own_loop, **EVERY)
    assert len(rows_of(trained)) == 3
    (note,) = trained.notes(0)
    assert "neither trial.steps nor trial.epochs" in note


def test_unseeded_randomness_is_not_reset_but_global_states_are() -> None:
    """Numbers that torch, numpy and Python draw repeat; those of the system's source cannot."""

    def train(trial: Trial) -> None:
        trial.log(f"{random.random()} {np.random.rand()} {torch.rand(1)}")  # noqa: NPY002
        train_steps(trial)

    drawn = []
    for _ in range(2):
        trained = group(train, **EVERY)
        rows_of(trained)
        drawn.append(trained.notes(0))
    assert drawn[0] == drawn[1] != ()


def test_what_a_trial_does_to_its_process_does_not_reach_the_next(tmp_path: Path) -> None:
    here, threads = Path.cwd(), torch.get_num_threads()

    def changes(trial: Trial) -> None:
        os.chdir(tmp_path)
        os.environ["OF_A_TRIAL"] = "1"
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(threads + 1)
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision("medium")
        torch.backends.cudnn.benchmark = True
        torch.set_grad_enabled(False)
        warnings.simplefilter("ignore")
        raise ZeroDivisionError

    seen: dict[str, Any] = {}

    def looks(trial: Trial) -> None:
        seen.update(
            folder=Path.cwd(),
            variable=os.environ.get("OF_A_TRIAL"),
            dtype=torch.get_default_dtype(),
            threads=torch.get_num_threads(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
            precision=torch.get_float32_matmul_precision(),
            benchmark=torch.backends.cudnn.benchmark,
            grad=torch.is_grad_enabled(),
            filters=list(warnings.filters),
        )
        train_steps(trial)

    rows_of(group(looks, **EVERY))
    before = dict(seen)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert isinstance(problem_of(changes, **EVERY), ZeroDivisionError)
    assert torch.rand(1) == expected, "the caller's random state"
    rows_of(group(looks, **EVERY))
    assert seen == before
    assert before["folder"] == here


def test_a_function_runs_alone_as_in_a_group() -> None:
    alone = try_training(
        train_steps,
        {"kind": "cosine", "lr": 0.1},
        steps=6,
        evaluate_every=2,
        seed=3,
        metrics=["val_loss"],
        show=False,
    )
    assert [values(row) for row in alone] == rows_of(group(train_steps, **EVERY))


@pytest.mark.parametrize(
    "name", ["a missing metric", "a schedule stepped twice", "an early return", "nothing"]
)
def test_a_function_that_runs_alone_is_held_to_the_same_contract(name: str) -> None:
    function, task, cause, _ = CASES[name]
    with pytest.raises(ContractError, match=re.escape(cause)):
        try_training(function, "fixed", metrics=["val_loss"], show=False, **task)


def test_a_function_alone_may_diverge(capsys: pytest.CaptureFixture[str]) -> None:
    train = reporting(lambda t: t.report(val_loss=float("nan")))
    (row,) = try_training(train, steps=6, evaluate_every=2, show=False)
    assert row.step == 2
    assert "diverged: val_loss became nan at step 2" in capsys.readouterr().out


def test_states_are_plain_enough_for_a_safe_load() -> None:
    assert saved({"a": torch.ones(1)})["a"] == 1
