"""What lrstudy costs a training function: its steps, its reports, and a DataLoader's workers.

    python tests/bench/function_cost.py

A step is a small real optimizer step, filled up to 1 ms with computing. Steps are counted in the thread's
processor time, which other processes on the machine change little; reports in wall time, since they wait for
another thread. Plain loop and lrstudy's alternate, and medians are compared.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset, get_worker_info

from lrstudy import Trial, try_training
from lrstudy.engine.function import FunctionGroup, Settings
from lrstudy.records import Status
from lrstudy.rules.metrics import Metric
from lrstudy.rules.outcome import Outcome

STEPS, REPORTS, ROUNDS = 1000, 300, 5
STEP_SECONDS = 1e-3


def wait(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def parts() -> tuple[torch.nn.Module, torch.optim.Optimizer, DataLoader[Any]]:
    model = torch.nn.Linear(4, 2)
    data = TensorDataset(torch.ones(16 * STEPS, 4), torch.zeros(16 * STEPS, dtype=torch.long))
    return model, torch.optim.SGD(model.parameters(), lr=0.1), DataLoader(data, 16)


def one_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, x: Any, y: Any) -> None:
    begin = time.thread_time()
    loss = torch.nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    wait(STEP_SECONDS - (time.thread_time() - begin))


def plain() -> float:
    model, optimizer, loader = parts()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    begin = time.thread_time()
    for x, y in loader:
        one_step(model, optimizer, x, y)
        schedule.step()
    return time.thread_time() - begin


def with_trial(seconds: list[float]) -> Callable[[Trial], None]:
    def train(trial: Trial) -> None:
        model, optimizer, loader = parts()
        schedule = trial.schedule(optimizer, loader=loader)
        trial.keep(model=model, optimizer=optimizer)
        begin = time.thread_time()
        for x, y in trial.steps(loader):
            one_step(model, optimizer, x, y)
            schedule.step()
            if trial.due:
                seconds.append(time.thread_time() - begin)
                trial.report(val_loss=0.0)

    return train


def group_of(function: Callable[[Trial], None], **length: int) -> FunctionGroup:
    settings = Settings(
        seed=0,
        schedule="cosine",
        kind="cosine",
        schedule_params={"lr": 0.1},
        metric=Metric("val_loss", "val_loss", False, 0.0, float("inf"), None),
        declared=("val_loss",),
        **length,  # type: ignore[arg-type]
    )
    return FunctionGroup(function, settings, lambda rows, _: Outcome(Status.COMPLETED, len(rows)))


def run(group: FunctionGroup) -> None:
    try:
        for _ in group.run():
            pass
    finally:
        group.close()


def steps() -> None:
    times: dict[str, list[float]] = {"plain loop": [], "try_training": [], "trial of a study": []}
    for _ in range(ROUNDS):
        times["plain loop"].append(plain())
        try_training(with_trial(times["try_training"]), "cosine", steps=STEPS, show=False)
        run(group_of(with_trial(times["trial of a study"]), steps=STEPS))
    usual = statistics.median(times["plain loop"])
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{name}: {1000 * middle / STEPS:.4f} ms a step, {middle / usual:.3f} x")


def reports() -> None:
    seconds: list[float] = []

    def train(trial: Trial) -> None:
        model, optimizer, loader = parts()
        schedule = trial.schedule(optimizer, loader=loader)
        for x, y in trial.steps(loader):
            one_step(model, optimizer, x, y)
            schedule.step()
            begin = time.perf_counter()
            trial.report(val_loss=torch.tensor(0.5), train_loss=torch.tensor(0.7))
            seconds.append(time.perf_counter() - begin)

    run(group_of(train, steps=REPORTS))
    ordered = sorted(seconds)
    print(
        f"report: {1000 * statistics.median(seconds):.3f} ms median,"
        f" {1000 * ordered[int(0.95 * len(ordered))]:.3f} ms at 95%"
    )


class ProcessIds(Dataset[Any]):
    """Rows that are the id of the process that loaded them."""

    def __len__(self) -> int:
        return 32

    def __getitem__(self, i: int) -> int:
        return os.getpid() if get_worker_info() else 0


def workers() -> None:
    seen: list[set[int]] = []

    def batches(loader: DataLoader[Any], trial: Trial) -> Iterator[Any]:
        for _ in trial.epochs():
            seen.append(set())
            yield from trial.steps(loader)

    def train(trial: Trial) -> None:
        model, optimizer, _ = parts()
        loader = DataLoader(ProcessIds(), 4, shuffle=True, num_workers=2, persistent_workers=True)
        schedule = trial.schedule(optimizer, loader=loader)
        for ids in batches(loader, trial):
            seen[-1] |= set(ids.tolist())
            one_step(model, optimizer, torch.ones(4, 4), torch.zeros(4, dtype=torch.long))
            schedule.step()
            if trial.due:
                trial.report(val_loss=0.0)

    run(group_of(train, epochs=3))
    print("processes that loaded each epoch:", *(sorted(ids) for ids in seen))


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    steps()
    reports()
    workers()
    print(f"load of the machine after: {os.getloadavg()[0]:.1f}")
