"""A study that searches values of the task: equal budgets, every trial repeats, and the report shows them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lrstudy.analysis import analyse
from lrstudy.catalog import Parameter
from lrstudy.records import Phase
from lrstudy.report.writing import write_report
from lrstudy.spec import Range, Study, parse_study, restore_study
from lrstudy.store import Store, open_store
from lrstudy.tuning import prepare
from lrstudy.tuning.driver.extend_range import Evaluated, widen
from lrstudy.tuning.driver.suggestions import Search
from lrstudy.tuning.repeat import repeat

STUDY = """
name = "searched"
[task]
dataset = "iris"
model = { name = "mlp", widths = [8] }
optimizer = { name = "sgd", momentum = 0.9 }
batch_size = 16
epochs = 2
[budget]
trials = 3
confirm_seeds = 1
extend = true
extend_trials = 2
[target]
values = [0.5]
[search]
"optimizer.weight_decay" = { low = 1e-6, high = 1e-2, log = true }
"task.batch_size" = { low = 4, high = 48, log = true }
[schedules.lipschitz]
[schedules.fixed]
lr = { low = 0.01, high = 1.0, log = true }
[methods.adam]
schedule = "fixed"
lr = { low = 1e-3, high = 1e-1, log = true }
optimizer = { name = "adamw", groups = [{ match = "*.bias", weight_decay = 0.0 }] }
search = { "optimizer.weight_decay" = { low = 1e-3, high = 1.0, log = true } }
"""


def study() -> Study:
    return parse_study(tomllib.loads(STUDY), "test")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("runs")
    with prepare(study(), str(out)) as ready:
        assert ready.lanes_note == ""
        ready.start(lambda: None)
        assert ready.run.done
    return open_store(out / "searched")


@pytest.mark.cluster
def test_all_schedules_have_the_same_budget_in_the_ledger(store: Store) -> None:
    prices = {schedule.name: schedule.price for schedule in analyse(store).schedules}
    spent = {
        name: (price.tune.trials, price.tune.epochs, price.confirm.trials) for name, price in prices.items()
    }
    assert spent == dict.fromkeys(("lipschitz", "fixed", "adam"), (5, 10, 1))
    assert not [warning for warning in analyse(store).warnings if "budget" in warning]


@pytest.mark.cluster
def test_every_trial_repeats_from_its_stored_values_bit_by_bit(store: Store) -> None:
    restored = restore_study(store.study.spec, "store")
    assert restored.spec_hash == study().spec_hash
    sizes = set()
    for record in store.trial_records():
        assert repeat(store, restored, record.trial_id).same, record.trial_id
        sizes.add(record.params["task.batch_size"])
    assert len(sizes) > 3


@pytest.mark.cluster
def test_the_report_shows_the_winners_other_values_and_the_methods(store: Store, tmp_path: Path) -> None:
    write_report(analyse(store), tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "adam is fixed with adamw; the others train with the task's optimizer." in page
    (winner,) = [record.params for record in store.trial_records() if record.trial_id == "adam-confirm-000"]
    row = next(line for line in page.splitlines() if "optimizer.weight\\_decay = " in line and "adam" in line)
    assert f"task.batch\\_size = {winner['task.batch_size']}" in row
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {one["name"]: one.get("optimizer") for one in summary["schedules"]}["adam"] == "adamw"


def history(values: list[tuple[float, int]], best: int) -> list[Evaluated]:
    return [
        Evaluated({"lr": 0.1, "optimizer.weight_decay": decay, "task.batch_size": size}, float(place == best))
        for place, (decay, size) in enumerate(values)
    ]


def test_a_searched_range_is_widened_within_the_bounds_of_its_option() -> None:
    search = Search(study(), study().schedule("lipschitz"), higher_is_better=True)
    tried = history([(1e-6, 4), (1e-4, 8), (1e-2, 48)], best=0)
    space: dict[str, Any] = search.space_after(tried)
    assert (space["task.batch_size"].low, space["task.batch_size"].high) == (1, 48)
    assert 0 < space["optimizer.weight_decay"].low < 1e-6
    upwards = search.space_after(history([(1e-6, 4), (1e-4, 8), (1e-2, 48)], best=2))
    assert upwards["optimizer.weight_decay"].high > 1e-2
    assert upwards["task.batch_size"].high > 48


def test_a_range_of_an_unknown_option_is_widened_without_bounds() -> None:
    span = {"params.depth": Range(1, 4, integer=True)}
    tried = [Evaluated({"params.depth": depth}, float(depth)) for depth in (1, 2, 4)]
    assert widen(span, tried, lambda name: None, higher_is_better=True) == {
        "params.depth": Range(1, 7, integer=True)
    }
    bounded = Parameter("depth", "int", "", low=0, high=5)
    assert widen(span, tried, lambda name: bounded, higher_is_better=True)["params.depth"].high == 5


def test_the_plan_counts_as_many_trials_for_all() -> None:
    spec = study()
    assert {spec.planned(schedule)[Phase.TUNE] for schedule in spec.schedules} == {5}
