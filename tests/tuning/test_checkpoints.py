"""A trial's checkpoints: what is kept, what is refused, and that a trial that goes on is the same trial."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase
from lrstudy.spec import Faults, Study, parse_study
from lrstudy.store import Location, open_location
from lrstudy.tasks import TaskData, load_data
from lrstudy.tuning.worker.checkpoints import (
    TrialCheckpoints,
    remove_all_checkpoints,
    remove_checkpoints,
    remove_ended,
)

CONFIG = TrialConfig("a/b <i>-tune-001", Phase.CONFIRM, "a/b <i>", "step", {"lr": 0.1, "gamma": 0.5}, 7)
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def study() -> Study:
    return parse_study(
        {
            "name": "kept",
            "task": {
                "dataset": "iris",
                "model": {"name": "mlp", "widths": [8], "dropout": 0.2},
                "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
                "batch_size": 16,
                "epochs": 6,
            },
            "target": {"values": [0.8]},
            "schedules": {"a/b <i>": {"kind": "step", "lr": 0.1, "gamma": 0.5}},
        },
        "test",
    )


@pytest.fixture(scope="module")
def data(study: Study) -> TaskData:
    return load_data(study.task, study.seed, None)


@pytest.fixture
def store(tmp_path: Path) -> Location:
    (tmp_path / "study.json").write_text("{}")
    return open_location(tmp_path)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def keeper(
    store: Location, config: TrialConfig = CONFIG, clock: Callable[[], float] | None = None
) -> TrialCheckpoints:
    faults = Faults(checkpoint_epochs=2, checkpoint_seconds=5.0)
    return TrialCheckpoints(store, "hash", config, faults, clock or Clock())


def without_seconds(rows: list[EvaluationRecord]) -> list[dict[str, object]]:
    return [{k: v for k, v in asdict(row).items() if not k.endswith("_seconds")} for row in rows]


def trained(study: Study, data: TaskData, epochs: int) -> tuple[Training, list[EvaluationRecord]]:
    training = Training(study, data, CONFIG, torch.device("cpu"))
    return training, [training.run_to_evaluation() for _ in range(epochs)]


def files(store: Location) -> list[Path]:
    assert store.local is not None
    return sorted((store.local / "checkpoints").rglob("*.pt"))


def test_a_trial_that_goes_on_from_a_checkpoint_equals_one_that_was_never_interrupted(
    study: Study, data: TaskData, store: Location
) -> None:
    whole, expected = trained(study, data, 6)
    first, rows = trained(study, data, 4)
    assert keeper(store).save(first.state_dict(), rows, 2, STARTED)

    saved = keeper(store).load()
    assert saved is not None
    assert (saved.attempt, saved.started_at) == (2, STARTED)
    assert list(saved.rows) == rows
    torch.manual_seed(99)  # another process: nothing may depend on what is in memory
    second = Training(study, data, CONFIG, torch.device("cpu"))
    second.load_state_dict(saved.state)
    resumed = [*saved.rows, *(second.run_to_evaluation() for _ in range(2))]
    assert without_seconds(resumed) == without_seconds(expected)
    assert second.outcome() == whole.outcome()


def test_only_the_newest_is_kept(study: Study, data: TaskData, store: Location) -> None:
    training, rows = trained(study, data, 2)
    writer = keeper(store)
    writer.save(training.state_dict(), rows, 1, STARTED)
    rows += [training.run_to_evaluation(), training.run_to_evaluation()]
    writer.save(training.state_dict(), rows, 1, STARTED)
    assert [path.name[:16] for path in files(store)] == ["evaluation-00004"]
    # The next attempt, in another process, clears away what it started from.
    following = keeper(store)
    assert following.load() is not None
    rows += [training.run_to_evaluation()]
    following.save(training.state_dict(), rows, 2, STARTED)
    assert [path.name[:16] for path in files(store)] == ["evaluation-00005"]
    assert writer.used
    assert following.used
    assert writer.notes == following.notes == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda content: content[: len(content) // 2], "is damaged"),
        (lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:], "is damaged"),
        (lambda content: b"", "is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_ignored_for_the_one_before_it(
    study: Study, data: TaskData, store: Location, spoil: Callable[[bytes], bytes], why: str
) -> None:
    training, rows = trained(study, data, 2)
    keeper(store).save(training.state_dict(), rows, 1, STARTED)
    rows += [training.run_to_evaluation()]
    keeper(store).save(training.state_dict(), rows, 1, STARTED)  # knows of none before: both stay
    _, newest = files(store)
    newest.write_bytes(spoil(newest.read_bytes()))
    reader = keeper(store)
    saved = reader.load()
    assert saved is not None
    assert len(saved.rows) == 2
    assert why in reader.notes[0]


@pytest.mark.parametrize(
    "other",
    [
        replace(CONFIG, params={"lr": 0.2, "gamma": 0.5}),
        replace(CONFIG, seed=8),
        replace(CONFIG, kind="fixed"),
    ],
)
def test_a_foreign_checkpoint_is_ignored(
    study: Study, data: TaskData, store: Location, other: TrialConfig
) -> None:
    training, rows = trained(study, data, 2)
    keeper(store).save(training.state_dict(), rows, 1, STARTED)
    reader = keeper(store, other)
    assert reader.load() is None
    assert "another trial" in reader.notes[0]
    elsewhere = TrialCheckpoints(store, "changed", CONFIG, Faults())
    assert elsewhere.load() is None


def test_a_checkpoint_of_an_earlier_format_is_ignored_with_a_note(
    study: Study, data: TaskData, store: Location
) -> None:
    training, rows = trained(study, data, 2)
    writer = keeper(store)
    writer.save(training.state_dict(), rows, 1, STARTED)
    (file,) = files(store)
    content = torch.load(file, weights_only=True)
    del content["format"]
    content["rows"] = [list(row.values()) for row in content["rows"]]
    file.unlink()
    packed = io.BytesIO()
    torch.save(content, packed)
    digest = hashlib.sha256(packed.getvalue()).hexdigest()[:16]
    (file.parent / f"epoch-00002-{digest}.pt").write_bytes(packed.getvalue())
    reader = keeper(store)
    assert reader.load() is None
    assert "another version of lrstudy wrote it" in reader.notes[0]
    assert reader.used, "it is removed when the trial is over"
    reader.save(training.state_dict(), rows, 1, STARTED)
    assert [path.name[:10] for path in files(store)] == ["evaluation"]


def test_declared_metrics_and_unknown_clocks_are_kept(study: Study, data: TaskData, store: Location) -> None:
    training, rows = trained(study, data, 1)
    given = [replace(rows[0], metrics={"perplexity": 9.5, "f1": None}, epoch=None, tokens=4096)]
    keeper(store).save(training.state_dict(), given, 1, STARTED)
    saved = keeper(store).load()
    assert saved is not None
    assert list(saved.rows) == given


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("evil",)


def test_a_checkpoint_that_would_run_code_is_not_loaded(
    study: Study, data: TaskData, store: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    training, rows = trained(study, data, 2)
    keeper(store).save({**training.state_dict(), "extra": Evil()}, rows, 1, STARTED)
    reader = keeper(store)
    assert reader.load() is None
    assert "cannot be loaded safely" in reader.notes[0]
    assert not (tmp_path / "evil").exists()


def test_when_one_is_due(store: Location) -> None:
    clock = Clock()
    quick = keeper(store, clock=clock)
    clock.now = 4.9
    assert not quick.due(2)
    clock.now = 5.0
    assert not quick.due(3)
    assert quick.due(4)
    assert not TrialCheckpoints(store, "", CONFIG, Faults(checkpoint_epochs=0), lambda: 1e9).due(10)


def test_what_cannot_be_written_fails_nothing_and_is_told(
    study: Study, data: TaskData, store: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, rows = trained(study, data, 2)
    clock = Clock()
    writer = keeper(store, clock=clock)
    assert not writer.save({"x": lambda: None}, rows, 1, STARTED)
    assert "no checkpoint" in writer.notes[-1]

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        clock.now = 6.0
        assert not writer.save(training.state_dict(), rows, 1, STARTED)
    assert "disk is full" in writer.notes[-1]
    assert not writer.due(4), "the next one waits its time, as after a checkpoint that was written"
    assert files(store) == []
    assert writer.save(training.state_dict(), rows, 1, STARTED)


def test_a_worker_that_does_not_see_the_store_leaves_nothing_on_its_own_disk(
    study: Study, data: TaskData, tmp_path: Path
) -> None:
    training, rows = trained(study, data, 2)
    writer = keeper(open_location(tmp_path / "elsewhere"))
    assert writer.load() is None
    assert not writer.save(training.state_dict(), rows, 1, STARTED)
    assert "does not see" in writer.notes[0]
    assert list(tmp_path.iterdir()) == []


def test_they_are_removed_with_their_trial(study: Study, data: TaskData, store: Location) -> None:
    training, rows = trained(study, data, 2)
    others = [replace(CONFIG, trial_id=f"a/b-tune-00{n}") for n in range(2)]
    for config in (CONFIG, *others):
        keeper(store, config).save(training.state_dict(), rows, 1, STARTED)
    assert len(files(store)) == 3
    remove_checkpoints(store, [CONFIG.trial_id, "never there"])
    assert len(files(store)) == 2
    remove_ended(store, [others[0].trial_id, "ended long ago"])
    assert len(files(store)) == 1
    assert keeper(store, others[1]).load() is not None
    remove_all_checkpoints(store)
    assert not (store / "checkpoints").exists()
