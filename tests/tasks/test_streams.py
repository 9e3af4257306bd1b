"""Rows that a DataLoader reads: tokens, picture folders and users' data sets, repeated bit by bit."""

from __future__ import annotations

import io
import os
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from lrstudy.engine.lanes.eligibility import unsupported
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.errors import InputError, StudyFileError
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.spec import Study, parse_study
from lrstudy.tasks import TaskData, assemble, check_task, load_data
from lrstudy.tasks.fingerprint import data_fingerprint

CPU = torch.device("cpu")
CLOCKS = ("train_seconds", "estimate_seconds", "eval_seconds")
OWN = '''
import os
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset


class Noisy(Dataset):
    """Items that change at every read: noise from all three random states."""

    classes = ["a", "b", "c"]

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return self.rows

    def __getitem__(self, index):
        noise = torch.randn(4) + random.random() + np.random.rand()
        return torch.full((4,), float(index % 3)) + 0.1 * noise, index % 3


def noisy():
    return {"train": Noisy(70), "validation": Noisy(20)}


class Processes(Noisy):
    def __getitem__(self, index):
        return torch.full((4,), os.getpid(), dtype=torch.float64), index % 3


def processes():
    return {"train": Processes(70), "validation": Processes(20)}


class Endless(IterableDataset):
    def __iter__(self):
        yield torch.zeros(4), 0


def endless():
    return Endless()


class Language(nn.Module):
    """Maps (batch, time) to a mapping with logits (batch, time, classes)."""

    def __init__(self, outputs):
        super().__init__()
        self.embedding, self.head = nn.Embedding(outputs, 8), nn.Linear(8, outputs)

    def forward(self, tokens):
        return {"logits": self.head(self.embedding(tokens)), "tokens": tokens}
'''


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stream_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


def study(dataset: Any, model: Any = "softmax-regression", **task: Any) -> Study:
    given = {"dataset": dataset, "model": model, "batch_size": 16, "epochs": 2}
    return parse_study({"name": "s", "task": given | task, "schedules": {"fixed": {"lr": 0.1}}}, "test")


def noisy(workers: int = 0, **task: Any) -> Study:
    return study("stream_parts:noisy", loader={"workers": workers}, **task)


def trial(phase: Phase = Phase.CONFIRM) -> TrialConfig:
    return TrialConfig("t", phase, "fixed", "fixed", {"lr": 0.1}, 3)


def curve(records: list[EvaluationRecord]) -> list[dict[str, str]]:
    return [{k: repr(v) for k, v in asdict(record).items() if k not in CLOCKS} for record in records]


def data_of(study: Study) -> TaskData:
    data = load_data(study.task, 0, None)
    check_task(study.task, data)
    return data


@pytest.fixture
def tokens(tmp_path: Path) -> Study:
    text = np.random.default_rng(0).integers(0, 11, 40 * 8 + 3)
    text.astype(np.uint16).tofile(tmp_path / "train.bin")
    files = {"name": "tokens", "root": str(tmp_path), "train": "train.bin", "block": 8}
    return study(files, "stream_parts:Language", ema=0.9, clip_norm=1.0)


def test_tokens_are_read_in_blocks_and_each_position_is_a_row(tokens: Study) -> None:
    data = data_of(tokens)
    assert data.classes == 11
    assert [data.rows(split) for split in ("train", "validation", "test")] == [26, 6, 8]
    assert data.train.inputs.shape[1:] == data.train.targets.shape[1:] == (8,)
    assert (data.train.inputs[:, 1:] == data.train.targets[:, :-1]).all()
    training = Training(tokens, data, trial(), CPU)
    records = list(training.run())
    inputs, targets = next(training.pipeline.batches("validation", 100))
    assert inputs.dtype == targets.dtype == torch.int64
    with torch.no_grad():
        logits = training.model.eval()(inputs)["logits"]
    loss = functional.cross_entropy(logits.reshape(-1, 11), targets.reshape(-1))
    assert records[-1].val_loss == pytest.approx(float(loss))
    accuracy = (logits.argmax(2) == targets).double().mean()
    assert records[-1].val_accuracy == pytest.approx(float(accuracy))
    assert records[-1].train_accuracy is not None
    assert 0 <= records[-1].train_accuracy <= 1
    assert records[-1].samples == 2 * 26


@pytest.mark.parametrize("workers", [1, 2])
def test_items_repeat_bit_by_bit_with_any_number_of_workers(workers: int) -> None:
    curves = []
    for spec in (noisy(0), noisy(workers), noisy(workers)):
        torch.rand(3)
        np.random.rand(2)  # noqa: NPY002 - whatever the process drew before must not matter
        training = Training(spec, data_of(spec), trial(), CPU)
        curves.append(curve(list(training.run())))
        if workers and training.pipeline._loaders:
            loader = training.pipeline._loaders["train", 16, spec.built_in.loader.workers, "shuffled"].loader
            assert loader.persistent_workers == (spec.built_in.loader.workers > 0)
    assert curves[0] == curves[1] == curves[2]


def test_items_differ_from_epoch_to_epoch_and_not_between_evaluations() -> None:
    spec = noisy()
    parts = assemble(spec.task, data_of(spec), CPU)
    first, second = (torch.cat([x for x, _ in parts.pipeline.train_batches(parts.order)]) for _ in range(2))
    assert not torch.equal(first.sort(0).values, second.sort(0).values)
    one, other = (torch.cat([x for x, _ in parts.pipeline.batches("validation")]) for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("stop", [1, 3])
def test_a_trial_continues_within_an_epoch_and_reads_only_the_rest(stop: int) -> None:
    spec = noisy(evaluate_every=2, accumulate=2, epochs=3)
    data = data_of(spec)
    whole = list(Training(spec, data, trial(), CPU).run())
    first = Training(spec, data, trial(), CPU)
    for _ in range(stop):
        first.run_to_evaluation()
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Training(spec, data, trial(), CPU)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert curve(list(second.run())) == curve(whole[stop:])


def test_data_travel_as_a_description_and_have_a_fingerprint() -> None:
    data = data_of(noisy())
    copy = pickle.loads(pickle.dumps(data))
    assert copy.streams._made is None
    assert data_fingerprint(copy) == data_fingerprint(data)
    assert len(pickle.dumps(data)) < 20_000


def picture_folder(root: Path, classes: int = 3, rows: int = 12) -> None:
    for number in range(classes):
        folder = root / f"class-{number}"
        folder.mkdir(parents=True)
        for row in range(rows):
            pixels = np.full((9, 7, 3), 80 * number + row, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{row}.png")


def test_a_folder_of_pictures_is_read_and_augmented(tmp_path: Path) -> None:
    picture_folder(tmp_path / "pictures")
    spec = study(
        {"name": "image-folder", "root": str(tmp_path / "pictures"), "size": 8},
        loader={"workers": 1},
        augment=["flip"],
    )
    data = data_of(spec)
    assert data.classes == 3
    assert data.image
    assert data.train.inputs.shape[1:] == (3, 8, 8)
    parts = assemble(spec.task, data, CPU)
    inputs, targets = next(parts.pipeline.batches("train", 100))
    assert inputs.dtype == torch.float32
    classes = (inputs.mean((1, 2, 3)) * 255 / 80).floor().long()
    assert torch.equal(classes, targets)
    records = list(Training(spec, data, trial(), CPU).run())
    assert records[-1].val_accuracy is not None


@pytest.mark.parametrize(
    ("dataset", "task", "says"),
    [
        ("stream_parts:endless", {}, r"train has no length.*\[task\] rows"),
        ("stream_parts:noisy", {"normalize": "standardize"}, "needs all rows in memory"),
        ("stream_parts:noisy", {"augment": ["flip"]}, "holds no images"),
        ({"name": "tokens", "train": "no-such.bin"}, {}, "no file of uint16 tokens"),
        ({"name": "image-folder", "root": "no-such"}, {}, "is no image folder"),
    ],
)
def test_what_cannot_be_read_is_refused(dataset: Any, task: dict[str, Any], says: str) -> None:
    spec = study(dataset, loader={"workers": 0}, **task)
    with pytest.raises(InputError, match=says):
        data_of(spec)


def test_a_loader_needs_a_sensible_number_of_workers() -> None:
    with pytest.raises(StudyFileError, match="workers"):
        noisy(-1)


def test_lanes_are_refused_with_the_reason() -> None:
    assert "(task.loader)" in (unsupported(noisy().task) or "")


def test_the_processes_that_read_stay_from_epoch_to_epoch() -> None:
    spec = study("stream_parts:processes", loader={"workers": 2})
    parts = assemble(spec.task, load_data(spec.task, 0, None), CPU)
    first, second = (
        {int(x) for inputs, _ in parts.pipeline.train_batches(parts.order) for x in inputs[:, 0]}
        for _ in range(2)
    )
    assert first == second
    assert len(first) == 2
    assert os.getpid() not in first
