"""Iterable data sets: their items in batches of one size, repeated and continued bit by bit."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.errors import ContractError, InputError
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import assemble, check_task, load_data
from lrstudy.tasks.fingerprint import data_fingerprint

CPU = torch.device("cpu")
CLOCKS = ("train_seconds", "estimate_seconds", "eval_seconds")
OWN = '''
import itertools
import os
import random

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info


class Stream(IterableDataset):
    """Items that change from pass to pass: noise from all three random states."""

    classes = 3
    noise = 0.1

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return self.rows

    def numbers(self):
        return range(self.rows)

    def __iter__(self):
        worker = get_worker_info()
        step = 1 if worker is None else worker.num_workers
        for number in itertools.islice(self.numbers(), 0 if worker is None else worker.id, None, step):
            noise = torch.randn(4) + random.random() + np.random.rand()
            yield torch.full((4,), float(number)) + self.noise * noise, number % 3


class Exact(Stream):
    noise = 0.0


class Endless(Exact):
    __len__ = None

    def numbers(self):
        return itertools.count()


class Undivided(Exact):
    def __iter__(self):
        return ((torch.full((4,), float(number)), number % 3) for number in range(self.rows))


class Long(Exact):
    def numbers(self):
        return range(self.rows + 5)


class Short(Exact):
    def numbers(self):
        return range(self.rows - 5)


class Used(Exact):
    """Its items are gone after the first pass."""

    def __init__(self, rows):
        self.rows, self.left = rows, iter(range(10_000))

    def numbers(self):
        return self.left


class Processes(Exact):
    def __iter__(self):
        for pair in super().__iter__():
            yield torch.full((4,), os.getpid(), dtype=torch.float64), pair[1]


def make(kind, rows=70, others="Exact"):
    kinds = globals()
    return {"train": kinds[kind](rows), "validation": kinds[others](20), "test": kinds[others](20)}


def alone():
    return Exact(70)


def without_length():
    return make("Exact", others="Endless")
'''


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "iterable_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


def study(kind: str, workers: int = 0, function: str = "make", **task: Any) -> Study:
    options = {"kind": kind} if function == "make" else {}
    given = {
        "dataset": {"name": f"iterable_parts:{function}", **options},
        "model": "softmax-regression",
        "batch_size": 16,
        "epochs": 2,
        "loader": {"workers": workers},
    }
    return parse_study({"name": "s", "task": given | task, "schedules": {"fixed": {"lr": 0.01}}}, "test")


def training(spec: Study) -> Training:
    config = TrialConfig("t", Phase.CONFIRM, "fixed", "fixed", {"lr": 0.01}, 3)
    data = load_data(spec.task, 0, None)
    check_task(spec.task, data)
    return Training(spec, data, config, CPU)


def curve(records: list[EvaluationRecord]) -> list[dict[str, str]]:
    return [{k: repr(v) for k, v in asdict(record).items() if k not in CLOCKS} for record in records]


def epochs(spec: Study, count: int = 2) -> list[list[torch.Tensor]]:
    """The inputs of each batch of some epochs."""
    parts = assemble(spec.task, load_data(spec.task, 0, None), CPU)
    return [[inputs for inputs, _ in parts.pipeline.train_batches(parts.order)] for _ in range(count)]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_epoch_has_every_item_once_in_batches_of_one_size(workers: int) -> None:
    for batches in epochs(study("Exact", workers)):
        assert [len(batch) for batch in batches] == [16, 16, 16, 16, 6]
        assert torch.cat(batches)[:, 0].sort().values.tolist() == list(range(70))
        if workers < 2:  # then in the stream's order
            assert torch.cat(batches)[:, 0].tolist() == list(range(70))


def test_a_last_batch_of_one_row_is_left_out() -> None:
    spec = study("Exact", dataset={"name": "iterable_parts:make", "kind": "Exact", "rows": 33})
    assert [len(batch) for batch in epochs(spec, 1)[0]] == [16, 16]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_smaller_last_batch_is_dropped_if_the_task_says_so(workers: int) -> None:
    for batches in epochs(study("Exact", workers, drop_last=True)):
        assert [len(batch) for batch in batches] == [16, 16, 16, 16]
    with pytest.raises(InputError, match="drop_last leaves no batch"):
        training(study("Exact", workers, drop_last=True, batch_size=71))


@pytest.mark.parametrize("workers", [0, 2])
def test_noise_differs_from_epoch_to_epoch_and_not_between_evaluations(workers: int) -> None:
    spec = study(
        "Stream", workers, dataset={"name": "iterable_parts:make", "kind": "Stream", "others": "Stream"}
    )
    first, second = map(torch.cat, epochs(spec))
    assert not torch.equal(first, second)
    parts = assemble(spec.task, load_data(spec.task, 0, None), CPU)
    one, other = (torch.cat([x for x, _ in parts.pipeline.batches("validation")]) for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_trial_repeats_and_continues_bit_by_bit(workers: int) -> None:
    spec = study("Stream", workers, evaluate_every=2, accumulate=2, epochs=3)
    whole = list(training(spec).run())
    torch.rand(3)  # whatever the process drew before must not matter
    assert curve(list(training(spec).run())) == curve(whole)
    for stop in (1, 3):
        first = training(spec)
        for _ in range(stop):
            first.run_to_evaluation()
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        file.seek(0)
        second = training(spec)
        second.load_state_dict(torch.load(file, weights_only=True))
        assert curve(list(second.run())) == curve(whole[stop:])


def test_one_worker_gives_what_none_gives() -> None:
    assert curve(list(training(study("Stream", 0)).run())) == curve(list(training(study("Stream", 1)).run()))


def test_the_processes_that_read_stay_and_decide_the_fingerprint() -> None:
    first, second = (
        {int(x) for batch in some for x in batch[:, 0]} for some in epochs(study("Processes", 2))
    )
    assert first == second
    assert len(first) == 2
    prints = [data_fingerprint(load_data(study("Exact", count).task, 0, None)) for count in (0, 1, 2, 4)]
    assert prints[0] == prints[1]  # one order
    assert len(set(prints)) == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_an_endless_stream_has_epochs_of_rows_items(workers: int) -> None:
    for batches in epochs(study("Endless", workers, rows=40)):
        numbers = torch.cat(batches)[:, 0].tolist()
        assert len(numbers) == len(set(numbers)) == 40
        if workers == 0:
            assert numbers == list(range(40))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"kind": "Endless"}, r"train has no length.*\[task\] rows"),
        ({"kind": "", "function": "without_length"}, "validation has no length.*map-style"),
        ({"kind": "", "function": "alone"}, 'train is a stream, and there is no validation.*"test"'),
        ({"kind": "Exact", "rows": 71}, "more than the 70 items of a pass"),
        ({"kind": "Used"}, "train differs when it is read again.*__iter__"),
    ],
)
def test_what_cannot_be_an_epoch_is_refused(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_data(study(**spec).task, 0, None)


@pytest.mark.parametrize(
    ("kind", "workers", "says"),
    [
        ("Undivided", 2, "train gives the same items to each of its workers.*get_worker_info"),
        ("Long", 0, "train gives more items than the 70 of its length.*__len__"),
        ("Long", 2, "train gives more items than the 70 of its length"),
        ("Short", 0, "train gives 65 items, fewer than the 70 of a pass"),
    ],
)
def test_a_wrong_number_of_items_ends_the_trial_with_the_remedy(kind: str, workers: int, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        list(training(study(kind, workers)).run())
