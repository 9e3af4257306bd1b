"""Money at the command line: the plan, the refusal, the status, and a report that a query repeats."""

from __future__ import annotations

import json
import math
import tomllib
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner, Result

import lrstudy.cli.commands
from lrstudy.analysis import analyse
from lrstudy.cli import app
from lrstudy.records import EvaluationRecord, Phase, Status, TrialRecord
from lrstudy.report.sections.cost_tables import ledger_table
from lrstudy.report.sections.headline import conditions
from lrstudy.report.sections.money_notes import whole_cost
from lrstudy.spec import Study, load_study, parse_study
from lrstudy.store import StoreWriter, TrialKey, open_location, open_store
from lrstudy.store.open_attempts import OpenAttempts, write_open_attempts
from lrstudy.tuning.cluster.provenance import study_info
from lrstudy.tuning.cost_estimate import estimate_cost, limit_problem
from lrstudy.tuning.time_estimate import Estimate

STUDY = """
name = "money"
[task]
dataset = "iris"
model = { name = "mlp", widths = [4] }
batch_size = 32
epochs = 4
[budget]
trials = 2
confirm_seeds = 3
objective = "best"
[target]
values = [0.8]
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
[schedules.cosine]
lr = { low = 0.01, high = 1.0, log = true }
[resources]
cpus = 2
lanes = 0
"""
COST = '[cost]\ncurrency = "EUR"\nper_hour = { "H100" = 2.5, "cpu" = 0.04 }\n'


def lrstudy(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture(autouse=True)
def few_steps_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrstudy.tuning.time_estimate._MEASURE_SECONDS", 0.05)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "money.toml"
    path.write_text(STUDY + COST)
    return path


def test_a_plan_prices_what_its_trials_hold_and_refuses_what_passes_the_limit(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = json.loads(lrstudy("plan", str(file), "--json").stdout)
    cost = planned["cost"]
    assert cost["trial_per_hour"] == pytest.approx(0.08)
    assert cost["amount"] >= 0.04 * planned["cpu_hours"], "the start of the workers is paid too"
    assert (cost["currency"], cost["limit"], cost["upper_bound"]) == ("EUR", None, False)
    monkeypatch.setenv("COLUMNS", "80")
    refused = lrstudy("plan", str(file), "--set", "cost.limit=1e-9")
    assert refused.exit_code == 2
    assert "cost      about 0.00" in refused.stdout
    assert max(map(len, refused.stdout.splitlines())) <= 80
    assert "cost.limit = 1e-09: is below the estimated cost of the study" in refused.stderr
    assert "Raise the limit, or plan less" in refused.stderr
    assert "cost  " not in lrstudy("plan", str(file), "--set", "cost.per_hour={}").stdout


def test_a_run_above_its_limit_is_refused_before_anything_is_written(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrstudy.tuning.start.ray_session", lambda *_: nullcontext(""))
    refused = lrstudy("run", str(file), "--out", str(tmp_path / "runs"), "--set", "cost.limit=1e-9")
    assert refused.exit_code == 2
    assert "is below the estimated cost of the study" in refused.stderr
    assert not (tmp_path / "runs").exists()


def test_a_gpu_study_timed_on_a_cpu_is_bounded_and_not_refused(file: Path) -> None:
    changes = ["resources.gpus=0.5", "cost.limit=0.01"]
    study = load_study(file, changes)
    bound = estimate_cost(study, Estimate(3600.0, "", trial_seconds=3600.0))
    assert bound is not None
    assert bound.amount is not None
    assert (bound.per_hour, bound.bound) == (pytest.approx(2 * 0.04 + 0.5 * 2.5), True)
    assert limit_problem(bound) is None, "it may cost a hundredth of that"
    recorded = estimate_cost(study, Estimate(3600.0, "", trial_seconds=3600.0, recorded=True))
    assert limit_problem(recorded) is not None
    unknown = estimate_cost(study, Estimate(None, ""))
    assert unknown is not None
    assert (unknown.amount, limit_problem(unknown)) == (None, None)


def rows(number: int, schedule: str, phase: Phase, seconds: float, **more: Any) -> tuple[Any, TrialRecord]:
    """A trial that trains for 2 of every 3 of its ``seconds``; its accuracy is 0.8 from epoch 2 on."""
    key = TrialKey(f"{schedule}-{phase}-{number:03d}", phase, schedule, number)
    evaluations = [
        EvaluationRecord(
            evaluation=epoch,
            epoch=float(epoch),
            step=epoch * 3,
            samples=epoch * 96,
            train_seconds=seconds / 6,
            estimate_seconds=0.0,
            eval_seconds=seconds / 24,
            lr=0.1,
            lr_min=0.1,
            lr_max=0.1,
            train_loss=1.0,
            val_loss=1.0,
            val_accuracy=0.85 if epoch > 1 else 0.5,
        )
        for epoch in range(1, 5)
    ]
    start = study_info(load_study_of(), None).created_at
    record = TrialRecord(
        trial_id=key.trial_id,
        phase=phase,
        schedule=schedule,
        seed=number,
        params={"lr": 0.1},
        status=Status.COMPLETED,
        error=None,
        evaluations_run=4,
        steps_run=12,
        epochs_run=4.0,
        best_val=0.85,
        best_evaluation=2,
        objective=0.85,
        test_loss=1.0,
        test_accuracy=0.8,
        test_r2=None,
        started_at=start,
        ended_at=start + timedelta(seconds=seconds),
        node="",
        device="NVIDIA H100 80GB HBM3",
        gpus=0.5,
        attempt=1,
        cpus=2,
        slot_seconds=1.5 * seconds,
        energy_kwh=seconds / 1000,
        energy_source="estimated",
    )
    return [(key, row) for row in evaluations], replace(record, **more)


def load_study_of(*overrides: str) -> Study:
    return parse_study(tomllib.loads(STUDY + COST), "money.toml", overrides)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A priced run on half GPUs: two tuning and three confirm runs a schedule, one of which failed."""
    place = tmp_path / "runs" / "money"
    study = load_study_of("resources.gpus=0.5", "cost.limit=100")
    with StoreWriter.create_or_open(place, study_info(study, None)) as writer:
        for number, schedule in enumerate(("fixed", "cosine")):
            for phase, count in ((Phase.TUNE, 2), (Phase.CONFIRM, 3)):
                for seed in range(count):
                    evaluations, record = rows(seed, schedule, phase, 600.0 * (1 + 0.1 * seed + 0.1 * number))
                    writer.append(evaluations, [record])
    lost = OpenAttempts(
        trial_id="fixed-confirm-009", schedule="fixed", phase=Phase.CONFIRM, seconds=1800.0, cpus=2, gpus=0.5
    )
    write_open_attempts(open_location(place), [lost])
    return place


HOURLY = "workers * (cpus * 0.04 + gpus * 2.5)"


def test_the_money_of_a_report_is_what_a_query_over_the_store_gives(run: Path, tmp_path: Path) -> None:
    summary = json.loads(analyse(open_store(run)).to_json())
    trials = f"read_parquet('{run}/trials/*.parquet')"
    by_phase = duckdb.sql(
        f"select schedule, phase, sum(slot_seconds / 3600 * {HOURLY}), sum(energy_kwh) "
        f"from {trials} group by all"
    ).fetchall()
    spent = {(schedule, phase): (money, energy) for schedule, phase, money, energy in by_phase}
    for schedule in summary["schedules"]:
        for phase in ("tune", "confirm"):
            shown = schedule["cost"][f"{phase}_money"], schedule["cost"][f"{phase}_energy_kwh"]
            assert shown == pytest.approx(spent[schedule["name"], phase])
    attempts = (2 * 0.04 + 0.5 * 2.5) / 2
    whole = math.fsum(money for money, _ in spent.values()) + attempts
    assert summary["money"]["spent"] == pytest.approx(whole)
    assert summary["money"]["attempts_without_result"] == pytest.approx(attempts)
    assert summary["energy"] == {
        "kwh": pytest.approx(math.fsum(energy for _, energy in spent.values())),
        "estimated": True,
        "trials": 10,
        "of": 10,
    }
    told = json.loads(lrstudy("status", str(run), "--json").stdout)
    assert told["cost"]["spent"] == pytest.approx(whole)
    assert f"{whole:.2f} EUR of at most 100.00 EUR" in lrstudy("status", str(run)).stdout


def test_money_is_a_clock_of_targets_and_verdicts(run: Path, tmp_path: Path) -> None:
    summary = analyse(open_store(run), clock="cost")
    assert summary.clock == "EUR"
    ert = duckdb.sql(
        "with spent as (select trial_id, schedule, evaluation, val_accuracy, "
        "sum(train_seconds + eval_seconds) over (partition by trial_id order by evaluation) as seconds "
        f"from read_parquet('{run}/evaluations/*.parquet')), "
        "hits as (select trial_id, min(evaluation) as first from spent where val_accuracy >= 0.8 group by 1) "
        f"select schedule, avg(seconds / 3600 * {HOURLY}) from spent join hits using (trial_id) "
        f"join read_parquet('{run}/trials/*.parquet') as trials using (trial_id, schedule) "
        "where evaluation = first and phase = 'confirm' group by schedule"
    ).fetchall()
    for schedule in summary.schedules:
        (reach,) = schedule.reach
        assert reach.ert == pytest.approx(dict(ert)[schedule.name])
        assert reach.times["EUR"].ert == reach.ert
    assert "speed counted in EUR" in conditions(summary)
    ledger = ledger_table(summary)
    assert [column.title for column in ledger.columns][-2:] == ["cost, EUR", "energy"]
    notes = " ".join(ledger.notes)
    assert "0.67 EUR of it in attempts without a result so far" in whole_cost(summary)
    assert "estimated by codecarbon" in notes


def test_a_study_without_prices_has_no_clock_of_money(run: Path, file: Path, tmp_path: Path) -> None:
    study = load_study_of("cost.per_hour={}")
    place = tmp_path / "runs" / "plain"
    with StoreWriter.create_or_open(place, study_info(study, None)) as writer:
        evaluations, record = rows(0, "fixed", Phase.CONFIRM, 600.0)
        writer.append(evaluations, [record])
    refused = lrstudy("report", str(place), "--clock", "cost")
    assert refused.exit_code == 2
    assert "--set cost.per_hour.cpu=" in refused.stderr
    assert "money" not in json.loads(analyse(open_store(place)).to_json())
