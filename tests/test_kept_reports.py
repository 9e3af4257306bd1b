"""Verdicts on values at the end of kept reports and imported histories equal a second computation."""

from __future__ import annotations

import csv
import json
import math
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from lrstudy.analysis import analyse
from lrstudy.store import ImportOptions, import_histories, open_store

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "reports"
KEPT = sorted(path.parents[1].relative_to(REPORTS).as_posix() for path in REPORTS.rglob("end-values.csv"))
# The share of 5% that all questions but the primary target have.
SHARE = 0.2
Array = NDArray[np.float64]
Runs = dict[str, dict[int, list[float]]]


def summary_of(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((REPORTS / name / "summary.json").read_text(encoding="utf-8"))
    return read


def ends_of(name: str, unit: str) -> Runs:
    """The values at the end by schedule and unit; NaN for a run that diverged."""
    runs: Runs = {}
    with (REPORTS / name / "tables/end-values.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            value = math.nan if row["outcome"] == "diverged" else float(row[summary_of(name)["metric"]])
            runs.setdefault(row["schedule"], {}).setdefault(int(row[unit]), []).append(value)
    return runs


def looks_of(name: str, runs: Runs) -> tuple[int, ...]:
    """The numbers of replicates at which the study file has the study looked at."""
    places = [ROOT / "studies" / f"{name}.toml", ROOT / "studies" / "paper" / f"{name}.toml"]
    (file,) = (place for place in places if place.exists())
    budget = tomllib.loads(file.read_text(encoding="utf-8"))["budget"]
    if budget.get("until") != "decided":
        return (max(map(max, runs.values())),)
    sizes = [budget["replicates"]]
    while sizes[-1] < budget["most"]:
        sizes.append(min(2 * sizes[-1], budget["most"]))
    return tuple(sizes)


def paired_p(reference: Sequence[Array], schedule: Sequence[Array], larger_is_better: bool) -> float:
    """The p-value of a paired t-test on means, or on mean ranks where runs diverged."""
    values = np.concatenate([*reference, *schedule])
    if not np.isfinite(values).all():
        merit = values if larger_is_better else -values
        values = stats.rankdata(np.where(np.isnan(values), -np.inf, merit))
    means = [part.mean() for part in np.split(values, np.cumsum([*map(len, [*reference, *schedule])])[:-1])]
    return float(stats.ttest_rel(means[len(reference) :], means[: len(reference)]).pvalue)


@cache
def boundaries(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """Limits of |Z| at each look where the error spent is the look's part of all replicates.

    From the normal distribution of Z at all looks, not from the integration that lrstudy does.
    """
    times = np.array(looks) / looks[-1]
    limits: list[float] = []
    inside = 1.0
    for place, time in enumerate(times):
        known = times[: place + 1]
        covariance = np.sqrt(np.minimum.outer(known, known) / np.maximum.outer(known, known))
        normal = stats.multivariate_normal(np.zeros(place + 1), covariance, seed=1)

        def excess(limit: float) -> float:
            box = np.array([*limits, limit])
            return float(normal.cdf(box, lower_limit=-box)) - (1 - alpha * time)  # noqa: B023 - called here

        limits.append(float(optimize.brentq(excess, 0.0, 9.0, xtol=1e-5)) if excess(9.0) > 0 else 9.0)
        inside = 1 - alpha * time
    assert inside == pytest.approx(1 - alpha)
    return tuple(limits)


def over_looks(p_values: Sequence[float], looks: tuple[int, ...]) -> float:
    """The smallest level at which one of the looks so far rejects."""
    if len(looks) == 1:
        return p_values[0]
    reached = [float(stats.norm.isf(p / 2)) for p in p_values]

    def margin(log_level: float) -> float:
        limits = boundaries(looks, math.exp(log_level))
        return max(z - limit for z, limit in zip(reached, limits, strict=False))

    low, high = math.log(1e-7), math.log(0.99)
    if margin(low) >= 0 or margin(high) <= 0:
        return math.exp(low) if margin(low) >= 0 else 1.0
    return math.exp(float(optimize.brentq(margin, low, high, xtol=1e-4)))


def after_holm(p_values: dict[str, float], others: Sequence[float]) -> dict[str, float]:
    """Holm's rule in a family in which the other comparisons' values after it are known."""
    ends, rest = sorted((p, name) for name, p in p_values.items()), sorted(others)
    running, found = 0.0, {}
    for left in range(len(ends) + len(rest), 0, -1):
        if ends and (not rest or left * ends[0][0] <= rest[0]):
            p, name = ends.pop(0)
            running = max(running, left * p)
            found[name] = min(1.0, running / SHARE)
        else:
            running = max(running, rest.pop(0))
    return found


def test_every_kept_report_of_a_study_that_runs_until_it_is_decided_has_its_rows() -> None:
    studies = {
        path.relative_to(ROOT / "studies").with_suffix("").as_posix()
        for path in (ROOT / "studies").rglob("*.toml")
        if tomllib.loads(path.read_text(encoding="utf-8")).get("budget", {}).get("until") == "decided"
    }
    assert {"digits", "all-schedules", "fashion-mnist-small", "classic/iris-softmax"} <= studies
    decided = {name for name in studies if (REPORTS / name / "summary.json").exists()}
    assert decided <= set(KEPT)
    for name in decided:
        summary = summary_of(name)
        assert summary["complete"], name
        assert summary["replicates"] > 1, name


def interval_of(differences: Sequence[float], confidence: float) -> tuple[float | None, float | None]:
    """The t interval of the mean; none from a single difference."""
    if len(differences) == 1:
        return (None, None)
    limits = stats.ttest_1samp(differences, 0).confidence_interval(confidence)
    return (float(limits.low), float(limits.high))


@pytest.mark.parametrize("name", KEPT)
def test_values_at_the_end_equal_a_second_computation(name: str) -> None:
    summary = summary_of(name)
    told, larger = summary["end"], summary["metric"] != "val_loss"
    runs = ends_of(name, told["paired_by"])
    base = {unit: np.array(values) for unit, values in runs[summary["reference"]].items()}
    looks = looks_of(name, runs) if told["paired_by"] == "replicate" else (max(base),)
    p_values, expected = {}, {}
    for one in told["schedules"]:
        own = {unit: np.array(values) for unit, values in runs[one["name"]].items()}
        assert one["runs"] == sum(map(len, own.values()))
        if one["verdict"] == "reference":
            continue
        shared = sorted(base.keys() & own.keys())
        sofar = [[unit for unit in shared if unit <= look] for look in looks if look <= max(own)] or [shared]
        each = [paired_p([base[u] for u in units], [own[u] for u in units], larger) for units in sofar]
        p_values[one["name"]] = over_looks(each, looks)
        alive = [unit for unit in shared if np.isfinite(own[unit]).any()]  # the others' runs all diverged
        differences = [float(np.nanmean(own[unit]) - np.nanmean(base[unit])) for unit in alive]
        if not differences:
            assert (one["difference"]["mean"], one["verdict"]) == (None, "worse")
            continue
        limits = interval_of(differences, summary["confidence"])
        expected[one["name"]] = (float(np.mean(differences)), *limits)
    others = [
        SHARE * target["p_value"]
        for schedule in summary["schedules"]
        for target in schedule["targets"]
        if not target["primary"] and target["p_value"] is not None
    ]
    adjusted = after_holm(p_values, others)
    for one in told["schedules"]:
        if one["name"] not in expected:
            continue
        difference = expected[one["name"]][0]
        got = one["difference"]
        scale = 1e-6 * max(abs(value) for value in expected[one["name"]] if value is not None)
        assert (got["mean"], got["low"], got["high"]) == pytest.approx(expected[one["name"]], abs=scale)
        p_value = adjusted[one["name"]]
        assert one["p_value"] == pytest.approx(p_value, rel=0.03, abs=1e-6), one["name"]
        better = difference > 0 if larger else difference < 0
        verdict = ("better" if better else "worse") if p_value <= 0.05 else "inconclusive"
        assert one["verdict"] == verdict, one["name"]


def test_values_at_the_end_of_imported_histories_equal_a_second_computation(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    values = {
        name: rng.normal(centre, 0.004, 8) for name, centre in (("fixed", 0.94), ("a", 0.96), ("b", 0.94))
    }
    rows = [
        f"{name},{seed},{epoch},{value if epoch == 5 else 0.5}"
        for name, column in values.items()
        for seed, value in enumerate(column)
        for epoch in range(1, 6)
    ]
    file = tmp_path / "h.csv"
    file.write_text("\n".join(["schedule,seed,epoch,val_accuracy", *rows]) + "\n")
    options = ImportOptions(name="h", seed_from="seed", reference="fixed", targets=[0.9])
    import_histories([file], tmp_path / "runs", options)
    found = analyse(open_store(tmp_path / "runs" / "h"))
    assert found.end is not None
    assert [run.value for run in found.end.runs if run.schedule == "a"] == pytest.approx(list(values["a"]))
    ends = dict(zip(found.names, found.end.values, strict=True))
    tests = {name: stats.ttest_rel(values[name], values["fixed"]) for name in ("a", "b")}
    others = [
        SHARE * one.p_value
        for schedule in found.schedules
        for one in schedule.reach
        if not one.primary and one.p_value is not None
    ]
    adjusted = after_holm({name: float(test.pvalue) for name, test in tests.items()}, others)
    for name, test in tests.items():
        limits = test.confidence_interval(0.95)
        expected = (float(np.mean(values[name] - values["fixed"])), float(limits.low), float(limits.high))
        got = ends[name].difference
        assert (got.value, got.low, got.high) == pytest.approx(expected)
        assert ends[name].p_value == pytest.approx(adjusted[name])
    assert (ends["a"].verdict, ends["b"].verdict) == ("better", "inconclusive")
