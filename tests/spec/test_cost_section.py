"""``[cost]``: what is refused, and what it does not decide."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from lrstudy.errors import StudyFileError
from lrstudy.spec import Study, parse_study
from lrstudy.spec.free_settings import with_settings

STUDY = """
name = "small"
[task]
dataset = "iris"
model = "mlp"
batch_size = 32
epochs = 3
[schedules.fixed]
lr = 0.1
"""


def study(cost: str = "", resources: str = "", overrides: tuple[str, ...] = ()) -> Study:
    text = f"{STUDY}[cost]\n{cost}\n[resources]\n{resources}\n"
    return parse_study(tomllib.loads(text), "s.toml", overrides, text)


@pytest.mark.parametrize(
    ("cost", "resources", "message"),
    [
        ("limit = 20", "", r"cost.limit = 20.0: cannot be compared with anything"),
        ("per_hour = { cpu = 0.04 }", "", r"cost.currency = '': is not given"),
        ('currency = "epochs"', "", "is not a currency"),
        ('currency = "cost"', "", "is not a currency"),
        ('currency = "EUR"\nper_hour = { cpu = 1, CPU = 2 }', "", "two prices for one name: cpu and CPU"),
        ('currency = "E U"', "", "is not a currency"),
        ('currency = "EUR"\nper_hour = { H100 = 2.5 }', "", "has no price for a CPU core"),
        ('currency = "EUR"\nper_hour = { cpu = 0.04 }', "gpus = 0.5", r"holds resources.gpus = 0.5"),
        ('currency = "EUR"\nper_hour = { cpu = -1.0 }', "", "cost.per_hour"),
        ('currency = "EUR"\nper_hour = { cpu = nan }', "", "cost.per_hour"),
        ('currency = "EUR"\nper_hour = { cpu = 1, "" = 2 }', "", "has an empty name"),
        ('currency = "EUR"\nper_hour = { cpu = 1 }\nlimit = 0', "", "cost.limit"),
    ],
)
def test_prices_that_cannot_be_used_are_refused(cost: str, resources: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        study(cost, resources)


def test_money_decides_no_trial() -> None:
    priced = study('currency = "EUR"\nper_hour = { "H100" = 2.5, cpu = 1 }\nlimit = 3\nenergy = true')
    assert priced.spec_hash == study().spec_hash
    assert priced.cost.per_hour == {"H100": 2.5, "cpu": 1.0}


def stored(**changes: Any) -> dict[str, Any]:
    return study('currency = "EUR"\nper_hour = { cpu = 1 }\nlimit = 3').to_json() | changes


def test_a_run_takes_settings_that_decide_no_trial_and_no_others() -> None:
    raised = with_settings(stored(), "study.json", ["cost.limit=40", "cost.per_hour.'NVIDIA L4'=0.5"])
    assert raised.cost.limit == 40
    assert raised.cost.per_hour == {"cpu": 1.0, "NVIDIA L4": 0.5}
    with pytest.raises(StudyFileError) as refused:
        with_settings(stored(), "study.json", ["task.epochs=9", "budget.trials=3", "cost.limit=40"])
    assert [problem.key for problem in refused.value.problems] == ["task.epochs", "budget.trials"]
    assert "lrstudy extend" in str(refused.value)
    with pytest.raises(StudyFileError, match=r"--set: cost.limit = -3"):
        with_settings(stored(), "study.json", ["cost.limit=-3"])


def test_the_number_of_workers_that_share_a_trials_data_cannot_change() -> None:
    text = 'name = "own"\n[task]\ntrain = "mine:train"\nsteps = 9\nmetrics = { val_loss = "min" }\n'
    own = parse_study(tomllib.loads(f"{text}[schedules.fixed]\nlr = 0.1"), "s.toml")
    with pytest.raises(StudyFileError, match="changes what the trials of this run are"):
        with_settings(own.to_json(), "study.json", ["resources.workers=2"])


@pytest.mark.parametrize("value", ["tests", "1.5", "true"])
def test_a_validation_that_is_neither_share_nor_test_is_one_problem(value: str) -> None:
    with pytest.raises(StudyFileError) as refused:
        study(overrides=(f"task.validation={value}",))
    (problem,) = refused.value.problems
    assert problem.key == "task.validation"
    assert 'or "test"' in problem.message
