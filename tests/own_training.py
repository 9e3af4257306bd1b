"""Users' training functions for tests, and groups that run them without Ray."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import torch

from lrstudy.engine.function import FunctionGroup, Settings, Trial
from lrstudy.records import EvaluationRecord, Status
from lrstudy.rules.metrics import Metric
from lrstudy.rules.outcome import Outcome

LOSS = Metric("val_loss", "val_loss", False, -math.inf, math.inf, None)


def settings(kind: str = "cosine", **given: Any) -> Settings:
    """The settings of a short trial; ``params`` are the schedule's."""
    params = given.pop("params", {} if kind == "lipschitz" else {"lr": 0.1})
    if not given.keys() & {"steps", "epochs"}:
        given["steps"] = 12
    values: dict[str, Any] = {"seed": 3, "metric": LOSS, "declared": ("val_loss",)}
    return Settings(schedule=kind, kind=kind, schedule_params=params, **{**values, **given})


def outcome(rows: list[EvaluationRecord], reason: str | None) -> Outcome:
    return Outcome(Status.COMPLETED if reason is None else Status.DIVERGED, len(rows), error=reason)


def group(function: Callable[[Trial], Any], kind: str = "cosine", **given: Any) -> FunctionGroup:
    """A group that pauses after every step and waits a moment for a function that does not end."""
    seconds = given.pop("end_seconds", 5.0)
    return FunctionGroup(function, settings(kind, **given), outcome, pause_seconds=0.0, end_seconds=seconds)


def values(row: EvaluationRecord) -> dict[str, Any]:
    """All of a record that does not depend on a clock."""
    return {name: value for name, value in asdict(row).items() if not name.endswith("_seconds")}


def rows_of(trained: FunctionGroup) -> list[dict[str, Any]]:
    """Run to the end; return the rows that it yields."""
    try:
        return [values(row) for pause in trained.run() for row in pause.rows.values()]
    finally:
        trained.close()


def saved(state: Any) -> Any:
    """A state as another process would load it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def states_of(trained: FunctionGroup) -> Iterator[tuple[int, dict[str, Any]]]:
    """Run to the end; yield the number of rows before each pause that can be saved, and the state there."""
    before = 0
    try:
        for pause in trained.run():
            before += len(pause.rows)
            state = trained.state(0)
            if state is not None:
                yield before, saved(state)
    finally:
        trained.close()


def problem_of(function: Callable[[Trial], Any], kind: str = "cosine", **given: Any) -> BaseException:
    """Run to the exception that the training ends with, and return it."""
    trained = group(function, kind, **given)
    try:
        for _ in trained.run():
            pass
        trained.close()
    except BaseException as error:  # noqa: BLE001 - the test looks at it
        return error
    finally:
        with suppress(Exception):  # reported by the first call
            trained.close()
    raise AssertionError("the training ended without an exception")


class Data(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Rows with noise that is drawn at each access, as an augmentation is."""

    def __init__(self, rows: int = 24, *, noise: float = 0.1) -> None:
        generator = torch.Generator().manual_seed(1)
        self.inputs = torch.randn(rows, 4, generator=generator)
        self.targets = self.inputs.argmax(1)
        self.noise = noise

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inputs[index] + self.noise * torch.randn(4), self.targets[index]


class Stream(torch.utils.data.IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """The same rows without a length."""

    def __init__(self, rows: int = 24) -> None:
        self.data = Data(rows)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return (self.data[i] for i in range(len(self.data)))


class Shards:
    """A loader that knows its position, as torchdata's ``StatefulDataLoader`` does."""

    def __init__(self, data: Data, size: int = 8) -> None:
        self.data, self.size, self.at, self._resume = data, size, 0, False

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if not self._resume:
            self.at = 0
        self._resume = False
        while self.at < len(self.data):
            begin, self.at = self.at, self.at + self.size
            rows = [self.data[i] for i in range(begin, min(self.at, len(self.data)))]
            yield torch.stack([x for x, _ in rows]), torch.stack([y for _, y in rows])

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        self.at, self._resume = state["at"], True


class Net(torch.nn.Sequential):
    """A model whose dropout draws from torch's random state."""

    def __init__(self) -> None:
        super().__init__(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(8, 4))


def loss_of(model: torch.nn.Module, batch: Any) -> torch.Tensor:
    inputs, targets = batch
    return torch.nn.functional.cross_entropy(model(inputs), targets)


def evaluate(trial: Trial, model: torch.nn.Module) -> float:
    data = Data()
    with trial.evaluating():
        model.eval()
        with torch.no_grad():
            value = float(loss_of(model, (data.inputs, data.targets)))
        model.train()
    return value


def loader_of(data: Any = None, **given: Any) -> Any:
    options = {"batch_size": 8, "shuffle": data is None, **given}
    return torch.utils.data.DataLoader(Data() if data is None else data, **options)


def parts_of(trial: Trial, loader: Any, **given: Any) -> tuple[torch.nn.Module, Any, Any]:
    """A model, the optimizer to train it with and its schedule, all kept."""
    model = Net()
    given_optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr, momentum=0.9)
    schedule = trial.schedule(given_optimizer, model=model, loader=loader, **given)
    trial.keep(model=model, optimizer=schedule.optimizer)
    return model, schedule.optimizer, schedule


def update(loss: torch.Tensor, optimizer: Any, schedule: Any) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()


def train_steps(trial: Trial, loader: Any = None, **given: Any) -> None:
    """The plain loop."""
    loader = loader_of() if loader is None else loader
    model, optimizer, schedule = parts_of(trial, loader, **given)
    for batch in trial.steps(loader):
        update(loss_of(model, batch), optimizer, schedule)
        if trial.due:
            trial.report(val_loss=evaluate(trial, model))


def train_epochs(trial: Trial) -> None:
    """A loop over epochs, each evaluated at its end."""
    loader = loader_of()
    model, optimizer, schedule = parts_of(trial, loader)
    for _ in trial.epochs():
        for batch in trial.steps(loader):
            update(loss_of(model, batch), optimizer, schedule)
        trial.report(val_loss=evaluate(trial, model))


def train_accumulating(trial: Trial, loader: Any = None) -> None:
    """Two micro-batches for a step."""
    loader = loader_of(batch_size=5) if loader is None else loader
    model, optimizer, schedule = parts_of(trial, loader, steps_per_epoch=3)
    for batch in trial.steps(loader, accumulate=2):
        (loss_of(model, batch) / 2).backward()
        if trial.updating:
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        if trial.due:
            trial.report(val_loss=evaluate(trial, model))


def train_own_loop(trial: Trial) -> None:
    """A loop over the epochs alone: lrstudy sees no batch."""
    loader = loader_of()
    model, optimizer, schedule = parts_of(trial, loader)
    for _ in trial.epochs():
        for batch in loader:
            update(loss_of(model, batch), optimizer, schedule)
        trial.report(val_loss=evaluate(trial, model))
