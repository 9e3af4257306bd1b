"""Stores of several people as one study: the same verdicts, and a refusal where trials are not comparable."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from growing_run import append, numbers, study
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.analysis import analyse
from lrstudy.analysis.study_contest import contest_of
from lrstudy.cli import app
from lrstudy.errors import InputError
from lrstudy.store import Store, StoreWriter, open_location, open_store, pool_stores


def stored(place: str, schedules: list[str], changed: dict[str, Any] | None = None, **more: Any) -> Store:
    """A store with some of the made-up study's schedules; ``changed`` settings by their dotted keys."""
    info = replace(study(), **more)
    spec = json.loads(json.dumps(info.spec))
    spec["schedules"] = {name: spec["schedules"][name] for name in schedules}
    spec["target"]["reference"] = schedules[0]
    for key, value in (changed or {}).items():
        *sections, name = key.split(".")
        table = spec
        for section in sections:
            table = table.setdefault(section, {})
        table[name] = value
    with StoreWriter.create_or_open(open_location(place), replace(info, spec=spec)) as writer:
        for schedule, phase, number in numbers():
            if schedule in schedules:
                append(writer, schedule, phase, number)
    return open_store(place)


def numbers_of(store: Any) -> dict[str, Any]:
    """The part of a summary that is computed from trials."""
    found = json.loads(analyse(store).to_json())
    return {key: found[key] for key in ("schedules", "targets", "stability", "end", "complete", "replicates")}


def test_pooled_schedules_are_judged_as_in_one_study(tmp_path: Path) -> None:
    both = stored(f"{tmp_path}/both", ["fixed", "step", "wild"])
    pool = pool_stores(
        [stored(f"{tmp_path}/theirs", ["fixed", "step"]), stored(f"{tmp_path}/mine", ["wild"])]
    )
    assert numbers_of(pool) == numbers_of(both)
    assert pool.notes[0] == (
        f"Pooled from 2 stores: fixed, step from {tmp_path}/theirs; wild from {tmp_path}/mine. The reference "
        "is fixed."
    )
    # One family: each verdict pays for both comparisons.
    assert contest_of(pool).contest.others == ("step", "wild")


def test_a_schedule_that_two_stores_ran_counts_once_and_its_runs_are_compared(tmp_path: Path) -> None:
    theirs = stored(f"{tmp_path}/theirs", ["fixed", "step"])
    pool = pool_stores([theirs, stored(f"{tmp_path}/mine", ["fixed", "wild"])])
    assert [one.name for one in pool.study.schedules] == ["fixed", "step", "wild"]
    assert pool.trials().num_rows == len(numbers())
    assert any("All 7 common trials have the same best values" in note for note in pool.notes)


def test_another_schedule_of_the_same_name_gets_the_name_of_its_store(tmp_path: Path) -> None:
    theirs = stored(f"{tmp_path}/theirs", ["fixed", "step"])
    mine = stored(f"{tmp_path}/mine", ["fixed", "step"], {"schedules.step.fixed": {"gamma": 0.5}})
    pool = pool_stores([theirs, mine])
    assert [one.name for one in pool.study.schedules] == ["fixed", "step", "step (mine)"]
    ids = pool.trials(["trial_id"])["trial_id"].to_pylist()
    assert len(set(ids)) == len(ids) == len(numbers())
    rows = pool.evaluations(["schedule", "trial_id"]).to_pylist()
    assert {row["schedule"] for row in rows if row["trial_id"].startswith("2/")} == {"step (mine)"}
    by_name = {one["name"]: one for one in numbers_of(pool)["schedules"]}
    assert by_name["step"]["best_val"] == by_name["step (mine)"]["best_val"]


@pytest.mark.parametrize(
    ("changed", "more", "said"),
    [
        ({"task.batch_size": 64}, {}, "task.batch_size: is 64 here and not set in"),
        ({"task.epochs": 9}, {}, "task.epochs: is 9 here and 8 in"),
        ({"budget.trials": 5}, {}, "budget.trials: is 5 here and 4 in"),
        ({"target.values": [0.8]}, {}, "target.values: is [0.8] here and [0.8, 0.9] in"),
        ({}, {"seed": 1}, "seed: is 1 here and 0 in"),
        ({}, {"fingerprints": {"data": "b" * 32}}, "has other rows or their split (bbbbbbbb) than"),
        (
            {},
            {"fingerprints": {"model": {"weights": [0.5], "outputs": [1.0]}}},
            "has a model that computes other values than that of",
        ),
    ],
)
def test_stores_whose_trials_cannot_be_compared_are_refused(
    tmp_path: Path, changed: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    prints = {"data": "a" * 32, "model": {"weights": [0.4], "outputs": [1.0]}}
    theirs = stored(f"{tmp_path}/theirs", ["fixed", "step"], fingerprints=prints)
    mine = stored(f"{tmp_path}/mine", ["wild"], changed, **more)
    with pytest.raises(InputError) as raised:
        pool_stores([theirs, mine])
    assert said in str(raised.value)
    assert str(theirs.location) in str(raised.value)


def test_versions_and_machines_are_said_and_not_refused(tmp_path: Path) -> None:
    theirs = stored(f"{tmp_path}/theirs", ["fixed"], versions={"torch": "2.13"}, hardware={"gpus": ["H100"]})
    mine = stored(f"{tmp_path}/mine", ["wild"], versions={"torch": "2.14"}, hardware={"cpu": "EPYC"})
    said = " ".join(pool_stores([theirs, mine]).notes)
    assert "different versions of torch: '2.13' and '2.14'" in said
    assert "different machines: H100 and EPYC" in said
    assert "fingerprint of its data" in said


def test_seconds_of_two_machines_are_refused(tmp_path: Path) -> None:
    clock = {"target.clock": "seconds"}
    theirs = stored(f"{tmp_path}/theirs", ["fixed"], clock, hardware={"gpus": ["H100"]})
    with pytest.raises(InputError, match="counts seconds on EPYC, and"):
        pool_stores([theirs, stored(f"{tmp_path}/mine", ["wild"], clock, hardware={"cpu": "EPYC"})])


class Hub(MemoryFileSystem):
    """A file system in memory in place of the Hugging Face Hub's."""

    protocol = "hf"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("hf://"))


def test_the_command_reads_a_data_set_of_hugging_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(import_module("fsspec.registry")._registry, "hf", Hub)
    stored("mine", ["wild"])
    theirs = stored("theirs", ["fixed", "step"])
    Hub().put("theirs", "datasets/them/runs/digits", recursive=True)
    there = "hf://datasets/them/runs/digits"
    assert open_store(there).trials().equals(theirs.trials())
    done = CliRunner().invoke(app, ["compare", there, "mine", "--pool"])
    assert done.exit_code == 0, done.output
    assert "wild" in done.output
    assert f"fixed, step from {there}" in Path("comparison/report.md").read_text()
    refused = CliRunner().invoke(app, ["compare", there, "--pool"])
    assert "needs at least two runs" in str(refused.exception) + refused.output
