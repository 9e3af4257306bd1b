"""Trials that two processes train together over gloo; writes what they did as JSON.

python rank_cases.py RANK SIZE FILE OUT
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from lrstudy.engine.function import Settings, Trial
from lrstudy.engine.function.rank_training import Answer, train_rank
from lrstudy.engine.trial import State
from lrstudy.errors import ContractError
from lrstudy.records import EvaluationRecord
from lrstudy.rules.metrics import Metric

ROWS, BATCH, EPOCHS = 96, 16, 4
SCHEDULES: dict[str, dict[str, Any]] = {
    "cosine": {"lr": 0.3},
    "plateau": {"lr": 0.3, "patience": 0, "factor": 0.5},
    "lipschitz": {"measure": "hook"},
    "polyak": {"max_lr": 10.0, "c": 10.0},
}


def data(seed: int) -> TensorDataset:
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(ROWS, 5, generator=draw, dtype=torch.float64)
    return TensorDataset(inputs, (inputs[:, 0] * inputs[:, 1] > 0).long())


def train(trial: Trial) -> None:
    """Train in double precision; the sampler shuffles by the trial's seed alone."""
    layers = [nn.Linear(5, 16), nn.ReLU(), nn.Dropout(trial.options.get("dropout", 0.0)), nn.Linear(16, 2)]
    shard = {"whole": True, "layers": [nn.Linear], "": False}[trial.options.get("shard", "")]
    model = trial.prepare(nn.Sequential(*layers).double(), shard=shard)
    optimizer = torch.optim.SGD(model.parameters(), lr=trial.lr, momentum=0.9)
    rows = data(0)
    sampler = DistributedSampler(rows, trial.world_size, trial.rank, seed=trial.seed)
    loader = DataLoader(rows, BATCH // trial.world_size, sampler=sampler)
    schedule = trial.schedule(optimizer, model, loader=loader)
    trial.keep(model=model, optimizer=optimizer, **trial.options.get("more", {}))
    inputs, targets = data(1).tensors
    for x, y in trial.steps(loader):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        schedule.before_step(loss)
        optimizer.step()
        schedule.step()
        if trial.due:
            with trial.evaluating(), torch.no_grad():
                model.eval()
                loss = nn.functional.cross_entropy(model(inputs), targets)
                model.train()
            trial.report(val_loss=loss + trial.options.get("off", 0.0) * trial.step if trial.rank else loss)


class Desk:
    """Answers rank 0: saves at the pauses ``save``, ends the trial at the pause ``end``, from 1."""

    def __init__(self, *, save: int = 0, end: int = 0) -> None:
        self._save, self._end = save, end
        self.rows: list[EvaluationRecord] = []
        self.safe: list[bool] = []
        self.state: State | None = None
        self.reason: str | None = None
        self.notes: list[str] = []

    def pause(self, row: EvaluationRecord | None, *, safe: bool, keeps: bool, reason: str | None) -> Answer:
        self.rows += [] if row is None else [row]
        self.safe.append(safe)
        self.reason = reason
        if len(self.safe) == self._save:
            return Answer.SAVE
        return self._next()

    def save(self, state: State) -> Answer:
        self.state = state
        return self._next()

    def restart(self, cause: str) -> None:
        self.notes.append("restart")

    def note(self, text: str) -> None:
        self.notes.append(text)

    def _next(self) -> Answer:
        return Answer.END if self.reason or len(self.safe) == self._end else Answer.CONTINUE


def settings(schedule: str, **options: Any) -> Settings:
    return Settings(
        seed=5,
        schedule=schedule,
        kind=schedule,
        schedule_params=SCHEDULES[schedule],
        metric=Metric("val_loss", "val_loss", False, -math.inf, math.inf, None),
        declared=("val_loss",),
        epochs=EPOCHS,
        options=options,
    )


def values(desk: Desk) -> list[list[float | int | None]]:
    return [[row.evaluation, row.step, row.samples, row.lr, row.val_loss] for row in desk.rows]


def run(rank: int, size: int) -> dict[str, Any]:
    done: dict[str, Any] = {}

    def case(name: str, schedule: str = "cosine", state: State | None = None, **options: Any) -> Desk:
        answers = {key: options.pop(key) for key in ("save", "end") if key in options}
        desk = Desk(**answers)
        train_rank(train, settings(schedule, **options), desk, state, rank=rank, world_size=size)
        done[name] = values(desk)
        return desk

    for schedule in SCHEDULES:
        case(schedule, schedule)
    for shard in ("whole", "layers"):
        for schedule in ("cosine", "polyak"):
            case(f"{schedule}, sharded: {shard}", schedule, shard=shard)
    case("rank 1 reports more", "plateau", off=1e3)
    case("rank 1 reports nan", off=math.nan)
    done["safe"] = case("dropout", dropout=0.5).safe
    saved = case("first half", dropout=0.5, save=4, end=4)
    packed = [saved.state]
    dist.broadcast_object_list(packed, src=0)  # as the checkpoint reaches every rank
    case("second half", state=packed[0], dropout=0.5)
    case("sharded", dropout=0.5, shard="whole")
    divided = [case("first half, sharded", dropout=0.5, shard="whole", save=4, end=4).state]
    dist.broadcast_object_list(divided, src=0)
    done["shapes"] = sorted(list(each.shape) for each in divided[0]["kept"]["objects"]["model"].values())
    case("second half, sharded", state=divided[0], dropout=0.5, shard="layers")
    other = packed[0] | {"kept": packed[0]["kept"] | {"objects": {}}}
    done["misfit"] = case("restarted", state=other, dropout=0.5).notes

    def seeds(trial: Trial) -> None:
        drawn = [None] * size
        dist.all_gather_object(drawn, [trial.seed, torch.initial_seed(), trial.rank, trial.world_size])
        done["seeds"] = drawn
        trial.log("hello")
        train(trial)

    desk = Desk()
    train_rank(seeds, settings("cosine"), desk, None, rank=rank, world_size=size)
    done["notes"] = desk.notes

    def diverging(trial: Trial) -> None:
        train(_Nan(trial) if trial.rank == 0 else trial)  # type: ignore[arg-type]

    for name, steps in UNEQUAL.items():
        try:
            train_rank(reporting(*steps[rank]), settings("cosine"), Desk(), None, rank=rank, world_size=size)
        except ContractError as error:
            done[name] = str(error)
        if rank == 0 and steps[1][1]:
            dist.barrier()  # rank 1 waits for it in mid-training

    desk = Desk()
    train_rank(diverging, settings("cosine"), desk, None, rank=rank, world_size=size)
    done["diverged"], done["reason"] = len(desk.rows), desk.reason
    return done


# The steps after which each rank reports, and the one in which it waits for the other rank.
UNEQUAL: dict[str, list[tuple[tuple[int, ...], int]]] = {
    "other steps": [((2,), 0), ((3,), 0)],
    "rank 0 alone": [((2,), 0), ((), 0)],
    "rank 1 in a later step": [((2, 4), 0), ((2,), 5)],
}


def reporting(steps: Sequence[int], waits: int) -> Callable[[Trial], None]:
    """Return a training whose ranks share their reports, after these steps, and a barrier."""

    def train(trial: Trial) -> None:
        layer = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(layer.parameters(), lr=trial.lr)
        schedule = trial.schedule(optimizer, layer, steps_per_epoch=2)
        for step in range(1, 2 * EPOCHS + 1):
            optimizer.step()
            schedule.step()
            if step == waits:
                dist.barrier()
            if step in steps:
                trial.report(val_loss=1.0)

    return train


class _Nan:
    """A trial whose second report is NaN."""

    def __init__(self, trial: Trial) -> None:
        self._trial, self._reports = trial, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    def report(self, val_loss: Any) -> None:
        self._reports += 1
        self._trial.report(val_loss=math.nan if self._reports == 2 else val_loss)


def main() -> None:
    rank, size, file, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=size)
    done = run(rank, size)
    dist.destroy_process_group()
    (out / f"{rank}.json").write_text(json.dumps(done))
    os._exit(0)  # gloo's threads abort now and then where the interpreter ends by itself


if __name__ == "__main__":
    main()
