"""Stop, resume and retry: nothing is lost, nothing is doubled, and every trial repeats bit by bit."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_studies import assert_same, read_study, run_without_ray, write_lane_study, write_study
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.errors import InputError, StoreError
from lrstudy.records import Phase, Status
from lrstudy.spec.cost_section import Cost
from lrstudy.spec.free_settings import with_settings
from lrstudy.store import open_location, open_store
from lrstudy.store.leftovers import clear_leftovers
from lrstudy.store.run_status import read_status
from lrstudy.tuning import prepare, to_retry
from lrstudy.tuning.repeat import compare, repeat
from lrstudy.tuning.stop_request import StopRequest, request_stop, withdraw_stop


def test_a_request_is_seen_by_whoever_looks_and_can_be_withdrawn(tmp_path: Path) -> None:
    now = [0.0]
    place = open_location(tmp_path)
    request = StopRequest(place, lambda: now[0])
    assert not request.visible, "no store is visible there"
    assert not request.requested
    request_stop(place)
    assert not request.requested, "it has looked a moment ago"
    now[0] = 1.0
    assert request.requested
    withdraw_stop(place)
    withdraw_stop(place)
    now[0] = 2.0
    assert request.requested, "once requested, it stays requested"
    assert not StopRequest(place).requested


def test_an_earlier_runs_request_is_withdrawn_and_one_made_since_is_kept(tmp_path: Path) -> None:
    place = open_location(tmp_path)
    opened = time.time()
    request_stop(place)
    withdraw_stop(place, before=opened)
    assert StopRequest(place).requested, "it was made while the study opened its store"
    withdraw_stop(place, before=time.time())
    assert not StopRequest(place).requested
    (tmp_path / "stop").write_bytes(b"")
    withdraw_stop(place, before=0.0)
    assert not StopRequest(place).requested, "a release before this one left it"


def test_a_request_that_comes_when_a_study_is_done_leaves_nothing(tmp_path: Path) -> None:
    file = write_lane_study(tmp_path / "study", epochs=1, trials=1, seeds=1)
    study, place = read_study(file), open_location(tmp_path / "runs" / "slow")
    run_without_ray(study, tmp_path / "runs" / "slow", [file.parent])
    with prepare(study, str(tmp_path / "runs"), search_path=[file.parent]) as ready:
        request_stop(place)
        ready.run.clean_up(place)
    assert sorted(name for name in place.names() if not name.startswith(".")) == [
        "evaluations",
        "study.json",
        "trials",
    ]


def test_requests_made_at_once_and_while_a_driver_clears_its_folder_all_succeed(tmp_path: Path) -> None:
    place, stopped = open_location(tmp_path), threading.Event()

    def clear() -> None:
        while not stopped.is_set():
            with contextlib.suppress(StoreError):  # another took it first
                clear_leftovers(place)

    clearing = threading.Thread(target=clear)
    clearing.start()
    try:
        with ThreadPoolExecutor(4) as askers:
            for asked in [askers.submit(request_stop, place) for _ in range(200)]:
                asked.result()
    finally:
        stopped.set()
        clearing.join()
    assert StopRequest(place).requested


@pytest.mark.cluster
def test_a_stop_requested_before_ray_runs_or_by_the_cost_limit_counts_and_an_older_one_does_not(
    tmp_path: Path,
) -> None:
    file = write_lane_study(tmp_path / "study", epochs=2, trials=1, seeds=1)
    spec, place = read_study(file), open_location(tmp_path / "runs" / "slow")
    # An EUR for each second of a core.
    priced = spec.model_copy(update={"cost": Cost(currency="EUR", per_hour={"cpu": 3600.0}, limit=0.001)})
    for study in (spec, priced):
        with prepare(study, str(tmp_path / "runs"), search_path=[file.parent]) as ready:
            assert ready.location == place
            assert not StopRequest(place).requested, "it was requested long before"
            if study is spec:
                request_stop(place)
            ready.start(lambda: None)
            assert not ready.run.done
            if study is spec:
                assert open_store(place).trial_records() == []
        assert not StopRequest(place).requested
        request_stop(place)  # long before the next
    assert ready.run.stopped_at_limit is not None
    first = read_status(open_store(place)).spending
    assert first is not None
    assert first.spent > 0.001, "what stopped trials have used is not forgotten"
    with (
        pytest.raises(
            InputError, match=r"cost.limit = 0.001: is spent: the run has cost .* --set cost.limit="
        ),
        prepare(priced, str(tmp_path / "runs"), search_path=[file.parent]),
    ):
        pass
    raised = with_settings(open_store(place).study.spec | {"name": "slow"}, "study.json", ["cost.limit=1e6"])
    with prepare(raised, place, search_path=[file.parent]) as ready:
        ready.start(lambda: None)
        assert ready.run.done
    records, last = open_store(place).trial_records(), read_status(open_store(place)).spending
    assert last is not None
    assert last.spent == pytest.approx(math.fsum(one.slot_seconds or math.nan for one in records))
    assert last.spent > first.spent
    assert not (tmp_path / "runs" / "slow" / "attempts.json").exists(), "each trial's row has all of its own"


class Command:
    """An lrstudy command in a process group of its own, as a terminal would start it."""

    def __init__(self, folder: Path, *words: str, slow: bool = True) -> None:
        path = os.pathsep.join([str(folder / "study"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lrstudy", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "SLOW_NET": "1" if slow else "0"},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, what: Path, pattern: str) -> None:
        deadline = time.monotonic() + 300
        before = set(what.glob(pattern))
        while not set(what.glob(pattern)) - before:
            assert time.monotonic() < deadline, "it took more than five minutes"
            assert self.process.poll() is None, self.end()
            time.sleep(0.02)

    def end(self) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=300)
        return self.process.returncode, said


@pytest.mark.cluster
def test_broken_mended_stopped_and_resumed_a_study_is_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_study(tmp_path / "study", seconds=0.03, epochs=20, trials=2, seeds=2)
    out, checkpoints = tmp_path / "runs" / "slow", "checkpoints/*/*.pt"

    first = Command(tmp_path, "run", str(file))
    first.wait_for(out, "trials/*.parquet")
    (tmp_path / "study" / "broken").touch()
    code, said = first.end()
    assert code == 1, said
    assert "somebody broke the network" in said
    assert "to run them again: lrstudy retry runs/slow" in said
    records = open_store(out).trial_records()
    assert {r.status for r in records} == {Status.COMPLETED, Status.FAILED}
    assert to_retry(records)

    (tmp_path / "study" / "broken").unlink()
    mended = Command(tmp_path, "retry", "runs/slow")
    mended.wait_for(out, checkpoints)
    told = CliRunner().invoke(app, ["stop", str(out)])
    assert (told.exit_code, told.stdout) == (
        0,
        "asked to stop: running trials end after their next evaluation\n",
    )
    code, said = mended.end()
    assert code == 3, said
    assert list(out.glob(checkpoints)), "the running trials continue from here"
    told = CliRunner().invoke(app, ["stop", str(out)])
    assert (told.exit_code, "no study is running here" in told.output) == (2, True)

    code, said = Command(tmp_path, "resume", "runs/slow", slow=False).end()
    assert code == 0, said
    left = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    assert left == ["evaluations", "report", "run.log", "study.json", "trials"]
    store, study = open_store(out), read_study(file)
    records = store.trial_records()
    assert len(records) == len({r.trial_id for r in records}) == 8
    assert {r.status for r in records} == {Status.COMPLETED}
    assert max(r.attempt for r in records) > 1, "no trial continued from its checkpoint"
    run_without_ray(study, tmp_path / "whole", [file.parent])
    assert_same(out, tmp_path / "whole")
    monkeypatch.setenv("SLOW_NET", "0")
    assert repeat(store, study, "step-confirm-001", [file.parent]).same
    told = CliRunner().invoke(app, ["retry", str(out)])
    assert (told.exit_code, told.stdout) == (0, "no trial of this run has failed\n")


@pytest.mark.cluster
def test_a_stopped_schedule_ends_while_the_others_go_on_and_taken_back_it_is_as_if_nothing_had_happened(
    tmp_path: Path,
) -> None:
    file = write_study(tmp_path / "study", seconds=0.03, epochs=20, trials=2, seeds=2)
    out = tmp_path / "runs" / "slow"
    first = Command(tmp_path, "run", str(file))
    first.wait_for(out, "checkpoints/*/*.pt")
    told = CliRunner().invoke(app, ["stop", str(out), "--schedule", "step"])
    assert told.output.startswith("asked to stop step: its running trials end after their next evaluation")
    code, said = first.end()
    assert code == 0, said
    assert "stopped by hand" in said
    store = open_store(out)
    assert list(store.study.stopped) == ["step"]
    ended = [record.schedule for record in store.trial_records()]
    assert (ended.count("fixed"), ended.count("step") < 4) == (4, True)
    assert not (out / "stop-schedules").exists()
    code, said = Command(tmp_path, "resume", "runs/slow").end()
    assert code == 0, said
    assert [record.schedule for record in open_store(out).trial_records()] == ended
    assert CliRunner().invoke(app, ["stop", str(out), "--schedule", "step", "--undo"]).exit_code == 0
    code, said = Command(tmp_path, "resume", "runs/slow", slow=False).end()
    assert code == 0, said
    run_without_ray(read_study(file), tmp_path / "whole", [file.parent])
    assert_same(out, tmp_path / "whole")


def test_a_schedule_with_failures_in_its_tuning_has_its_confirm_runs_done_again() -> None:
    from test_controller import play, study

    whole = play(study(), 1)
    assert to_retry(whole) == []

    def with_failed(trial_id: str) -> list[str]:
        from dataclasses import replace

        return to_retry([replace(r, status=Status.FAILED) if r.trial_id == trial_id else r for r in whole])

    assert with_failed("fixed-confirm-001") == ["fixed-confirm-001"]
    confirms = [r.trial_id for r in whole if r.schedule == "fixed" and r.phase is Phase.CONFIRM]
    assert with_failed("fixed-tune-003") == sorted([*confirms, "fixed-tune-003"])


def test_a_repetition_that_differs_names_the_first_value_and_the_largest_difference() -> None:
    from test_asha import row

    before = [row(1, 0.5), row(2, 0.6), row(3, float("nan"))]
    assert compare("t", before, before).same
    found = compare("t", before, [row(1, 0.5), row(2, 0.9), row(3, 0.7)])
    assert not found.same
    assert found.first is not None
    assert (found.first.evaluation, found.first.column, found.first.recorded) == (2, "val_accuracy", 0.6)
    assert "first in epoch 2: val_accuracy 0.6 is now 0.9" in str(found)
    short = compare("t", before, before[:2])
    assert not short.same
    assert "recorded 3 evaluations, repeated 2" in str(short)
