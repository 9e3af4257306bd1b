"""The paper's sweeps (studies/paper): diverged and failed trainings, and the pairing over replicates."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

PAPER = Path(__file__).parents[1] / "studies" / "paper"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script as running it would."""
    monkeypatch.syspath_prepend(str(PAPER))

    def imported(name: str) -> ModuleType:
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    return imported


def _store(trials: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Any:
    def table(content: list[dict[str, Any]]) -> Any:
        return lambda: SimpleNamespace(to_pandas=lambda: pd.DataFrame(content))

    return lambda _: SimpleNamespace(trials=table(trials), evaluations=table(rows))


def _trial(name: str, replicate: int, status: str = "completed", **more: Any) -> dict[str, Any]:
    trial = {"trial_id": f"{name}-{replicate}", "schedule": name, "replicate": replicate, "status": status}
    return {"phase": "tune", **trial, **more}


def test_the_loss_of_a_diverged_rule_is_not_that_before_its_explosion(
    script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaling = script("scaling")
    trials = [_trial("fixed", r) for r in range(3)]
    trials += [_trial("lipschitz", r, "diverged" if r else "completed") for r in range(3)]
    rows = [
        {"trial_id": trial["trial_id"], "val_loss": 0.5 if trial["schedule"] == "fixed" else 0.1, "lr": 0.2}
        for trial in trials
    ]
    monkeypatch.setattr(scaling.lrstudy, "open_store", _store(trials, rows))
    point = scaling._read(32, Path(), (0.01, 10.0))
    assert point.losses == (0.5, math.inf)
    assert point.diverged == 2
    summary = scaling.summary([point, scaling.Point(64, (0.3,) * 3, (0.3,) * 3, (0.5, 0.5), 0)])
    assert summary["points"][0]["val_loss_rule"] is None
    assert "– (2 diverged)" in scaling.report({"batch": summary, "scale": summary}, 3)


def test_slopes_of_one_split_are_compared_with_each_other(script: Any) -> None:
    scaling = script("scaling")
    # The slopes vary more between splits than they differ within one.
    slopes = [0.0, 0.5, 1.0, 1.5]
    moved = [slope + 0.2 + 0.01 * place for place, slope in enumerate(slopes)]
    points = [
        scaling.Point(x, tuple(x**one for one in slopes), tuple(x**one for one in moved), (1.0, 1.0), 0)
        for x in (1.0, 2.0, 4.0)
    ]
    numbers = scaling.summary(points)
    best, rule = numbers["slope_best_fixed"], numbers["slope_rule"]
    assert best[1] < rule[1] < best[2]
    assert "does not follow it" in scaling._sentence("batch size", numbers)


def test_a_failed_training_is_no_slow_one(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    factors = script("factors")
    trials, rows = [], []
    for combination, replicate in itertools.product(factors.combinations(), range(3)):
        name = factors.name_of(combination)
        failed = replicate == 1 and combination == ("paper", "cosine", "hook", "torch")
        trials.append(_trial(name, replicate, "failed" if failed else "completed"))
        if not failed:
            epoch = 4.0 if combination[1] == "cosine" else 8.0
            rows.append({"trial_id": trials[-1]["trial_id"], "val_accuracy": 0.96, "epoch": epoch})
    monkeypatch.setattr(factors.lrstudy, "open_store", _store(trials, rows))
    found = factors.effects(Path())
    assert found["effects"]["decay"]["cosine"] == pytest.approx({"ratio": 2.0, "low": 2.0, "high": 2.0})
    assert found["effects"]["loss"]["clipped"]["ratio"] == pytest.approx(1.0)
    assert found["combinations"]["paper-cosine-hook-torch"]["runs"] == 2
    assert "over 3 splits" in factors.report({"digits": found})


def test_a_speedup_without_an_interval_is_shown(script: Any) -> None:
    controls = script("controls")
    compared = {"ratio": 2.0, "low": None, "high": None, "verdict": "inconclusive"}
    one = {"schedules": {"paper": {"hits": 3, "runs": 4, "diverged": 0, "against_fixed": compared}}}
    assert controls._cell(one, "paper", "fixed") == "2.00  (3/4)"


def test_the_kept_page_of_controls_is_made_of_its_numbers_and_these_are_the_studies(script: Any) -> None:
    controls = script("controls")
    reports = PAPER.parents[1] / "reports"
    numbers = json.loads((reports / "controls/summary.json").read_text(encoding="utf-8"))
    assert controls.page(numbers) == (reports / "controls/report.md").read_text(encoding="utf-8")
    assert len(numbers) >= 4
    for name, task in numbers.items():
        study = json.loads((reports / name / "summary.json").read_text(encoding="utf-8"))
        for one in study["schedules"]:
            target, kept = one["targets"][0], task["schedules"][one["name"]]
            assert (kept["hits"], kept["runs"]) == (target["hits"], target["runs"])
            against = kept["against_fixed"]
            if one["name"] != study["reference"]:
                speed = target["speedup"]
                assert [against[key] for key in ("ratio", "low", "high")] == [
                    speed[key] for key in ("ratio", "low", "high")
                ]
                assert against["verdict"] == target["verdict"]


def test_an_untrained_network_is_measured_with_running_statistics_and_with_the_batchs(script: Any) -> None:
    rates = script("first_rates")
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)).eval()
    inputs = 100 * torch.randn(32, 4)
    untouched, hidden = model[0](inputs), model[:2](inputs)
    torch.testing.assert_close(hidden, untouched, rtol=1e-4, atol=1e-4)  # it divides by 1
    rates._forget_running_statistics(model)
    torch.testing.assert_close(model[:2](inputs).std(dim=0, correction=0), torch.ones(6), rtol=0, atol=1e-3)


def test_the_kept_page_of_first_rates_is_made_of_its_numbers(script: Any) -> None:
    rates = script("first_rates")
    reports = PAPER.parents[1] / "reports"
    numbers = json.loads((reports / "first-rates/summary.json").read_text(encoding="utf-8"))
    found = [rates.Rates(**one) for one in numbers["networks"]]
    assert rates.report(found, numbers["images"]) == (reports / "first-rates/report.md").read_text("utf-8")
    assert [one.network for one in found] == [network.name for network in rates.NETWORKS]
    summary = json.loads((reports / "paper/summary.json").read_text(encoding="utf-8"))
    for network, one in zip(rates.NETWORKS, found, strict=True):
        assert tuple(one.recorded) == rates.recorded_of(network, summary)[0]
    # Every recorded run of plain SGD is there, and ResNet-164's first rate is near 2.3e-8 as coded alone.
    logged = [run["first_epochs"][0] for run in summary["rates"] if run["optimizer"] == "sgd"]
    assert sorted(rate for one in found for rate in one.recorded) == sorted([*logged, 2.624])
    deepest = found[-1]
    assert 1e-9 < min(deepest.running) <= max(deepest.running) < 1e-6 < 0.1 < min(deepest.batch)


@pytest.mark.parametrize("name", ["scaling", "factors"])
def test_the_kept_pages_of_the_sweeps_are_made_of_their_numbers(script: Any, name: str) -> None:
    sweep = script(name)
    folder = PAPER.parents[1] / "reports" / name
    numbers = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    given = (numbers, numbers.pop("replicates")) if name == "scaling" else (numbers,)
    assert sweep.report(*given) == (folder / "report.md").read_text(encoding="utf-8")


def test_the_schedulers_page_tells_the_options_records_over_the_tasks() -> None:
    kept = json.loads((PAPER.parents[1] / "reports/controls/summary.json").read_text(encoding="utf-8"))

    def counts(name: str, reference: str) -> tuple[int, int]:
        verdicts = [task["schedules"][name][f"against_{reference}"]["verdict"] for task in kept.values()]
        return verdicts.count("faster"), verdicts.count("slower") + verdicts.count("never")

    page = (PAPER.parents[1] / "lrstudy/lipschitz/README.md").read_text(encoding="utf-8")
    text = " ".join(page.split())
    assert len(kept) == 5
    assert counts("network", "paper")[0] == 2
    assert counts("network", "fixed")[0] == 1
    assert '`bound="network"` is faster than the rule as it is on two of them, on one also than' in text
    assert counts("valid", "paper") == (1, 0)
    assert '`bound="valid"` is faster on one and slower on none' in text
    assert counts("schedule-free", "paper")[0] == 4
    assert "Schedule-free SGD, untuned, is faster than the rule on four" in text
