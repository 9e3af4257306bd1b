"""A study that searches values of the task: equal budgets, every trial repeats, and the report shows them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrstudy.analysis import analyse
from lrstudy.catalog import Parameter
from lrstudy.records import Phase
from lrstudy.report.writing import write_report
from lrstudy.spec import Range, Study, parse_study, restore_study
from lrstudy.spec.hyperparameters import task_params
from lrstudy.spec.searched_values import study_of_trial
from lrstudy.store import Store, open_store
from lrstudy.tuning import prepare
from lrstudy.tuning.cluster.check_gpu_memory import largest_trials
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
objective = "best"
[target]
values = [0.5]
[search]
"optimizer.weight_decay" = { low = 1e-6, high = 1e-2, log = true }
"task.batch_size" = { low = 4, high = 48 }
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
    search = Search(study(), study().schedule("lipschitz"), 0)
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


DECAYS = st.tuples(st.floats(1e-8, 1e-3), st.floats(1.5, 1e3)).map(
    lambda ends: {"low": ends[0], "high": ends[0] * ends[1], "log": True}
)
WIDTHS = st.lists(st.integers(1, 9), max_size=2)
SPACES = st.fixed_dictionaries(
    {},
    optional={
        "optimizer.weight_decay": DECAYS,
        "optimizer.momentum": st.lists(st.floats(0, 0.99), min_size=1, max_size=4, unique=True),
        "task.batch_size": st.tuples(st.integers(1, 9), st.integers(10, 99)).map(
            lambda ends: {"low": ends[0], "high": ends[1]}
        ),
        "model.widths": st.lists(
            st.lists(st.integers(1, 9), max_size=2), min_size=1, max_size=3, unique_by=str
        ),
    },
)


@settings(max_examples=30, deadline=None)
@given(SPACES, st.sampled_from(["random", "qmc", "tpe", "grid"]), st.integers(0, 3))
def test_every_suggestion_is_in_its_space_and_the_same_from_a_store(
    space: dict[str, Any], search: str, seed: int
) -> None:
    data = tomllib.loads(STUDY) | {"search": space, "seed": seed}
    data["budget"] |= {"search": search, "extend": False}
    spec = parse_study(data, "test")
    stored = restore_study(json.loads(json.dumps(spec.to_json())), "store")
    assert stored == spec
    for schedule in spec.schedules:
        first, again = (Search(one, one.schedule(schedule.name), 0) for one in (spec, stored))
        params = first.suggest(0, [])
        assert again.suggest(0, []) == params
        for name, span in schedule.space.items():
            if isinstance(span, Range):
                low, high = span.ends({})
                assert low <= params[name] <= high
            else:
                assert params[name] in span.values
        trial = study_of_trial(spec, schedule.name, params).built_in
        assert trial.batch_size == params.get("task.batch_size", 16)
        assert trial.model.options["widths"] == list(params.get("model.widths", [8]))
        for name, value in task_params(params).items():
            if name.startswith("optimizer."):
                assert trial.optimizer.options[name.partition(".")[2]] == value


def test_the_memory_that_trials_need_is_that_of_the_largest() -> None:
    spec = parse_study(
        tomllib.loads(STUDY.replace("[search]", '[search]\n"model.widths" = [[4], [64, 9]]')), "test"
    )
    found = {(one.built_in.optimizer.name, one.built_in.batch_size) for one in largest_trials(spec)}
    assert found == {("sgd", 48), ("adamw", 48)}
    assert all(one.built_in.model.options["widths"] == [64, 9] for one in largest_trials(spec))


def test_the_plan_counts_as_many_trials_for_all() -> None:
    spec = study()
    assert {spec.planned(schedule)[Phase.TUNE] for schedule in spec.schedules} == {5}
