"""Whatever a trial does to its worker or says about it, only that trial fails and the study goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from worker_faults import run, write_study

from lrstudy.records import Status
from lrstudy.store import open_store

pytestmark = pytest.mark.cluster

# What each kind must say in the end.
SAYS = {
    "surrogate": r"RuntimeError: no rows in caf\udce9.csv",
    "control": r"RuntimeError: a\x00b\x1b[2Jc\u202ed",
    "long": "characters left out",
    "mute": "Mute: <exception str() failed>",
    "unpicklable": "Unpicklable: a lambda inside",
    "group": r"ValueError: one\udce9",
    "cause": r"OSError: caf\udce9.csv",
    "warn": "RuntimeError: after a warning",
    "recursion": "RecursionError: maximum recursion depth exceeded",
    "tensor": "RuntimeError: tensor([0.,",
    "exit": "SystemExit: 3",
    "exit-0": "SystemExit: 0",
    "interrupt": "KeyboardInterrupt",
    "cancelled": "CancelledError",
    "generator": "GeneratorExit",
    "bare": "Bare: bare",
}


def test_whatever_a_trial_raises_is_its_own_and_fit_to_be_read(tmp_path: Path) -> None:
    more = "max_concurrent = 1\n[logging]\ntensorboard = true"
    file = write_study(tmp_path / "study", list(SAYS), trials=len(SAYS) + 1, more=more)
    ended = run(file)
    assert ended.returncode == 1, ended.stderr
    assert f"{len(SAYS)} trials failed" in ended.stderr
    records = sorted(open_store(file.parent / "broken").trial_records(), key=lambda record: record.trial_id)
    failed = [record for record in records if record.status is Status.FAILED]
    assert len(records) == len(SAYS) + 2
    for (kind, says), record in zip(SAYS.items(), failed, strict=True):
        assert record.error is not None
        assert says in record.error, kind
        assert record.attempt == 1, kind
        assert len(record.error) < 30_000, kind
        assert all(line.isprintable() for line in record.error.replace("\t", "").split("\n")), kind
    assert "\x1b[2J" not in ended.stderr + ended.stdout


def test_workers_that_hang_are_replaced_and_their_trials_fail(tmp_path: Path) -> None:
    kinds = ["hold-the-lock", "stop"]
    file = write_study(tmp_path / "study", kinds, trials=4, more="[faults]\nepoch_seconds = 2")
    ended = run(file)
    assert ended.returncode == 1, ended.stderr
    records = open_store(file.parent / "broken").trial_records()
    failed = [record for record in records if record.status is Status.FAILED]
    assert len(records) == 5
    assert len(failed) == 2
    for record in failed:
        assert record.error is not None
        assert "the limit is 2 s (faults.epoch_seconds)" in record.error
        assert record.attempt == 1
    for line in (file.parent / "log").read_text().splitlines():
        with pytest.raises(ProcessLookupError):
            os.kill(int(line.split()[1]), 0)
