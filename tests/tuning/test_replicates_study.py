"""A study in replicates on real Ray: each is, bit by bit, the study whose seed is the replicate's."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from fault_studies import MEASURED

from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import EvaluationRecord, Phase, Status, TrialRecord
from lrstudy.rules.early_stop import EarlyStop
from lrstudy.rules.extension import Extended, Extension, changed_keys
from lrstudy.rules.seeding import replicate_seed
from lrstudy.rules.trial_ids import trial_id, trial_number
from lrstudy.spec import Study, parse_study
from lrstudy.spec.extend_study import extend_study
from lrstudy.store import Store, StoreWriter, StudyInfo, open_location, open_store
from lrstudy.tasks import load_data
from lrstudy.tuning import prepare
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.repeat import repeat

CPU = torch.device("cpu")


def study(seed: int = 4, replicates: int = 1) -> Study:
    return parse_study(
        {
            "name": "small",
            "seed": seed,
            "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": 5},
            "budget": {
                "replicates": replicates,
                "trials": 6,
                "select": 2,
                "select_seeds": 2,
                "confirm_seeds": 2,
                "stop": "all",
            },
            "target": {"values": [0.8, 0.9], "primary": 0.9, "arrival": "stay:2"},
            "schedules": {"lipschitz": {}, "fixed": {"lr": {"low": 0.001, "high": 1.0, "log": True}}},
            "resources": {"lanes": 0},
        },
        "test",
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("runs")
    with prepare(study(replicates=2), str(out)) as ready:
        ready.start(lambda: None)
        assert ready.run.done
    return open_store(out / "small")


def untimed(row: EvaluationRecord) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if not name.endswith("seconds")}


def trained(spec: Study) -> dict[str, tuple[TrialRecord, list[dict[str, Any]]]]:
    """Run a study with one replicate in this process; its trials' records and evaluations by id."""
    controller, data = Controller(spec), load_data(spec.built_in, spec.seed)
    trials: dict[str, tuple[TrialRecord, list[dict[str, Any]]]] = {}
    while (config := controller.next()) is not None:
        record, rows = train(spec, data, config)
        controller.complete(record)
        trials[config.trial_id] = record, [untimed(row) for row in rows]
    assert controller.done
    return trials


def train(spec: Study, data: Any, config: TrialConfig) -> tuple[TrialRecord, list[EvaluationRecord]]:
    training, rows, status = Training(spec, data, config, CPU), [], None
    early = EarlyStop.of(spec, config.phase, config.cap)
    while not training.finished and status is None:
        rows.append(training.run_to_evaluation())
        status = None if early is None or training.finished else early.after(rows)
    outcome = training.outcome()
    now = datetime.now(UTC)
    record = TrialRecord(
        trial_id=config.trial_id,
        phase=config.phase,
        schedule=config.schedule,
        seed=config.seed,
        params=dict(config.params),
        status=status or outcome.status,
        error=outcome.error,
        evaluations_run=outcome.evaluations,
        best_val=outcome.best_val,
        best_evaluation=outcome.best_evaluation,
        objective=outcome.objective,
        test_loss=outcome.test.get("loss"),
        test_accuracy=outcome.test.get("accuracy"),
        test_r2=None,
        started_at=now,
        ended_at=now,
        node="",
        device="",
        attempt=1,
    )
    return record, rows


SAME = (
    *("phase", "schedule", "seed", "params", "status", "error", "evaluations_run"),
    *("best_val", "best_evaluation", "objective", "test_loss", "test_accuracy"),
)


@pytest.mark.cluster
@pytest.mark.parametrize("replicate", [1, 2])
def test_a_replicate_is_the_study_with_its_seed_bit_by_bit(store: Store, replicate: int) -> None:
    wanted = trained(study(replicate_seed(4, replicate)))
    rows: dict[str, list[dict[str, Any]]] = {}
    for key, row in store.evaluation_records():
        rows.setdefault(key.trial_id, []).append(untimed(row))
    records = [record for record in store.trial_records() if record.replicate == replicate]
    assert Counter(record.phase for record in records) == {
        Phase.TUNE: 7,
        Phase.SELECT: 4,
        Phase.CONFIRM: 4,
    }
    for record in records:
        expected, evaluations = wanted.pop(
            trial_id(record.schedule, record.phase, trial_number(record.trial_id))
        )
        assert rows[record.trial_id] == evaluations
        assert [getattr(record, name) for name in SAME] == [getattr(expected, name) for name in SAME]
    assert wanted == {}


@pytest.mark.cluster
def test_runs_ended_early_and_the_replicates_differ(store: Store) -> None:
    records = store.trial_records()
    assert min(record.evaluations_run for record in records) < 5
    assert {record.status for record in records} <= {Status.COMPLETED, Status.PRUNED}
    confirmed = [
        [r.best_val for r in records if r.phase is Phase.CONFIRM and r.replicate == replicate]
        for replicate in (1, 2)
    ]
    assert confirmed[0] != confirmed[1]


@pytest.mark.cluster
@pytest.mark.parametrize("trial", ["fixed-confirm-2.000", "fixed-tune-2.005", "lipschitz-tune-000"])
def test_a_trial_of_any_replicate_is_repeated_bit_by_bit(store: Store, trial: str) -> None:
    assert repeat(store, study(replicates=2), trial).same


@pytest.mark.cluster
def test_an_extended_study_has_the_rows_of_one_planned_so(store: Store, tmp_path: Path) -> None:
    """One with fewer replicates, seeds and schedules, of whose last trial only half is in the store."""
    planned = study(replicates=2)
    small = planned.model_copy(
        update={
            "budget": planned.budget.model_copy(update={"replicates": 1, "confirm_seeds": 1}),
            "schedules": (planned.schedule("fixed"),),
        }
    )
    place = tmp_path / "small"
    kept = [
        record
        for record in store.trial_records()
        if (record.schedule, record.replicate) == ("fixed", 1)
        and (record.phase is not Phase.CONFIRM or trial_number(record.trial_id) == 0)
    ]
    ids = {record.trial_id for record in kept}
    rows = [(key, row) for key, row in store.evaluation_records() if key.trial_id in ids]
    before = StudyInfo("small", small.to_json(), small.spec_hash, 4, fingerprints=store.study.fingerprints)
    with StoreWriter.create_or_open(place, before) as writer:
        writer.append(rows, kept[:-1])
    (tmp_path / "more.toml").write_text(
        'name = "more"\n[task]\ndataset = "digits"\nmodel = "softmax-regression"\nbatch_size = 8\n'
        "epochs = 1\n[schedules.lipschitz]\n"
    )
    extension = Extension(replicates=2, confirm_seeds=2, schedules=(f"lipschitz={tmp_path / 'more.toml'}",))
    now = extend_study(small, extension, "small")
    changes = changed_keys(small.to_json(), now.to_json())
    first = open_store(place).trial_records()
    with prepare(now, open_location(place), extended=Extended(extension, small.spec_hash, changes)) as ready:
        assert ready.run.remaining == len(store.trial_records()) - len(first)
        ready.start(lambda: None)
    grown = open_store(place)
    assert grown.trial_records()[: len(first)] == first
    assert [*grown.study.history[0]["changes"]] == [
        "budget.replicates",
        "budget.confirm_seeds",
        "schedules.lipschitz",
    ]
    assert stored(grown) == stored(store)


def stored(store: Store) -> tuple[dict[str, Any], dict[tuple[str, int], Any]]:
    """The trials and evaluations of a store by id, without times and places."""
    never = dict.fromkeys(MEASURED)
    trials = {record.trial_id: asdict(record) | never for record in store.trial_records()}
    rows = {(key.trial_id, row.evaluation): untimed(row) for key, row in store.evaluation_records()}
    return trials, rows
