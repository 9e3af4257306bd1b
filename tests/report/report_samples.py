"""Made-up studies for the report's tests: simulated runs, summed up with plain means and ranges.

The numbers stand for nothing; they have the shapes that an analysis gives.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import (
    Curve,
    Ecdf,
    Ends,
    EndValue,
    Levels,
    Price,
    Reach,
    ScheduleSummary,
    Spent,
    Steps,
    Summary,
    TunedTrial,
    TuningCurve,
)
from lrstudy.report.comparison import ComparedStudy, Comparison, Place, Profile
from lrstudy.rules.metrics import METRICS

EPOCHS = 40
_NONE = Interval(None, None, None)
SEEDS = 10
TARGETS = (0.95, 0.97)
HOSTILE = "<img src=x onerror=alert(1)>"
# name, kind, speed (epochs), final accuracy, median epochs to each target, verdicts
_PLAN = (
    ("lipschitz", "lipschitz", 1.6, 0.984, (4.0, 8.0), ("faster", "inconclusive")),
    ("lipschitz-tuned", "lipschitz", 1.3, 0.986, (3.0, 6.0), ("faster", "faster")),
    ("fixed", "fixed", 2.4, 0.983, (6.0, 11.0), ("reference", "reference")),
    ("step", "step", 2.5, 0.981, (6.0, 11.0), ("equivalent", "inconclusive")),
    ("cyclic", "cyclic", 4.0, 0.978, (9.0, 22.0), ("slower", "never")),
)


def study(name: str = "digits", seeds: int = SEEDS) -> Summary:
    """A finished study of five schedules."""
    schedules = tuple(_schedule(index, seeds) for index in range(len(_PLAN)))
    return Summary(
        name=name,
        metric=METRICS["val_accuracy"],
        reference="fixed",
        targets=TARGETS,
        priced=len(TARGETS) - 1,
        target_rule="Targets are the study's own.",
        clock="epochs",
        length=EPOCHS,
        trial_clock="epochs",
        trial_length=EPOCHS,
        margin=0.05,
        confidence=0.95,
        seeds=seeds,
        tune_budget=16,
        complete=True,
        schedules=schedules,
        warnings=("fixed: the best lr, 2.9, lies at the edge of its search space (0.001 to 3).",),
        stability=("Leaving out any one seed changes no verdict at 97%.",),
        task="mlp on digits, SGD, batch 32",
        facts=(("seed", "0"), ("hardware", "2 CPU cores"), ("torch", "2.15.0")),
        spec='{\n  "name": "digits"\n}',
        end=ends(seeds),
    )


def ends(seeds: int = SEEDS) -> Ends:
    """Values at the end: one verdict of each kind."""
    verdicts = ("better", "inconclusive", "reference", "equivalent", "worse")
    values = []
    for plan, verdict in zip(_PLAN, verdicts, strict=True):
        difference = _NONE if verdict == "reference" else _interval(plan[3] - 0.983, 0.0008, seeds)
        word = verdict if seeds > 1 or verdict == "reference" else "inconclusive"
        mean = _interval(plan[3], 0.003, seeds)
        values.append(EndValue(mean, difference, 0.03 if seeds > 1 else None, word, seeds, 0, 0, seeds))
    return Ends("epochs", EPOCHS, 0.005, "seed", tuple(values))


def large(schedules: int, epochs: int, trials: int) -> Summary:
    """A study with long curves and many tuning trials."""
    rng = random.Random(1)
    axis = tuple(float(epoch) for epoch in range(1, epochs + 1))
    times = {"epochs": axis, "steps": axis, "samples": axis, "seconds": axis}
    made = []
    for index in range(schedules):
        curves = {}
        for column in ("val_accuracy", "train_loss", "lr", "kz", "lipschitz_constant"):
            mean, low, high = (tuple(rng.random() for _ in axis) for _ in range(3))
            curves[column] = Curve(times, mean, low, high, (SEEDS,) * epochs)
        tuned = tuple(
            TunedTrial(f"s{index}-tune-{n:03d}", {"lr": rng.random()}, rng.random(), "completed")
            for n in range(trials)
        )
        base = _schedule(2, SEEDS)
        made.append(replace(base, name=f"s{index}", curves=curves, trials=tuned))
    return replace(study(), schedules=tuple(made), reference="s0", length=epochs, end=None)


def comparison() -> Comparison:
    """Three studies; the last one knows nothing of cyclic, and in it nobody gets there."""
    names = ("lipschitz", "fixed", "cyclic")

    def place(epochs: float | None, ratio: float | None, verdict: str, *, fastest: bool = False) -> Place:
        speedup = _NONE if ratio is None else Interval(ratio, ratio / 1.2, ratio * 1.2)
        return Place(True, epochs, 0 if epochs is None else 9, 10, speedup, verdict, fastest)

    absent = Place(False, None, 0, 0, _NONE, "", False)
    studies = (
        ComparedStudy(
            "digits",
            "val_accuracy 97%",
            "fixed",
            (
                place(6.0, 1.8, "faster", fastest=True),
                place(11.0, 1.0, "reference"),
                place(20.0, 0.5, "slower"),
            ),
        ),
        ComparedStudy(
            "fashion",
            "val_accuracy 85%",
            "fixed",
            (
                place(None, None, "never"),
                place(5.0, 1.0, "reference", fastest=True),
                place(6.0, 0.9, "inconclusive"),
            ),
        ),
        ComparedStudy(
            "wine",
            "val_accuracy 99%",
            "fixed",
            (place(None, None, "never"), place(None, None, "reference"), absent),
        ),
    )
    profiles = (
        Profile((1.0, 4.0), (1 / 3, 1 / 3)),
        Profile((1.0, 1.83, 4.0), (1 / 3, 2 / 3, 2 / 3)),
        Profile((1.0, 1.2, 3.33, 4.0), (0.0, 1 / 3, 2 / 3, 2 / 3)),
    )
    return Comparison(
        studies, names, "fixed", profiles, (0.33, 0.58, 0.41), 4.0, ("wine: nobody got there.",)
    )


def running() -> Summary:
    """A study of which only some tuning trials have ended."""
    found = study()
    none = tuple(_unreached(target, 0, "") for target in TARGETS)
    schedules = tuple(
        replace(
            s,
            tune_trials=min(s.tune_trials, 3),
            trials=s.trials[:3],
            confirm_trials=0,
            diverged=0,
            best_val=_NONE,
            test=_NONE,
            reach=none,
            curves={},
            levels=None,
            ecdf=None,
            best_of=None,
            price_of_target=None,
        )
        for s in found.schedules
    )
    return replace(found, schedules=schedules, complete=False, stability=(), warnings=(), end=None)


def diverged() -> Summary:
    """A study in which every trial diverged."""
    found = study()
    lost = tuple(_unreached(target, SEEDS, "never") for target in TARGETS)
    schedules = tuple(
        replace(
            s,
            diverged=s.tune_trials + s.confirm_trials,
            best_val=_NONE,
            test=_NONE,
            reach=lost,
            curves={},
            levels=None,
            ecdf=None,
            trials=tuple(replace(trial, value=None, status="diverged") for trial in s.trials),
            best_of=None,
            price_of_target=None,
        )
        for s in found.schedules
    )
    lost_ends = tuple(
        EndValue(
            _NONE,
            _NONE,
            None,
            one.verdict if one.verdict == "reference" else "inconclusive",
            SEEDS,
            SEEDS,
            0,
            SEEDS,
        )
        for one in ends().values
    )
    return replace(found, schedules=schedules, stability=(), end=replace(ends(), values=lost_ends))


def alone() -> Summary:
    """A study of the reference schedule only."""
    found = study()
    end = replace(ends(), values=ends().values[2:3])
    fixed = tuple(s for s in found.schedules if s.name == "fixed")
    return replace(found, schedules=fixed, stability=(), end=end)


def unreached() -> Summary:
    """A study of whose targets nobody reaches any."""
    found = study()
    schedules = tuple(
        replace(
            s,
            levels=None,
            price_of_target=None,
            reach=tuple(
                replace(
                    reach,
                    hits=0,
                    mean_time=Interval(float(EPOCHS), None, None),
                    median_time=None,
                    ert=None,
                    ert_seconds=None,
                    speedup=_NONE,
                    speedup_seconds=_NONE,
                    verdict="never",
                    shares={},
                )
                for reach in s.reach
            ),
        )
        for s in found.schedules
    )
    return replace(found, schedules=schedules)


def renamed(found: Summary, names: dict[str, str]) -> Summary:
    """The same study with other schedule names."""
    schedules = tuple(replace(s, name=names.get(s.name, s.name)) for s in found.schedules)
    return replace(found, schedules=schedules, reference=names.get(found.reference, found.reference))


def _schedule(index: int, seeds: int) -> ScheduleSummary:
    name, kind, pace, top, medians, verdicts = _PLAN[index]
    rng = random.Random(index)
    tuned = name != "lipschitz"
    trials = 16 if tuned else 1
    measured = {"kz": 30.0, "lipschitz_constant": 0.9} if kind == "lipschitz" else {}
    curves = {
        "val_accuracy": _curve(lambda e: top - 0.55 * math.exp(-e / pace), 0.006, seeds, index),
        "train_loss": _curve(lambda e: 0.01 + 2 * math.exp(-e / pace), 0.05, seeds, index, relative=True),
        "lr": _curve(lambda e: _rate(kind, e), 0.03, seeds, index, relative=True),
    }
    for column, value in measured.items():
        curves[column] = _curve(
            lambda e, v=value: v * (1 + 0.3 * math.log(e)), 0.04, seeds, index, relative=True
        )
    return ScheduleSummary(
        name=name,
        kind=kind,
        tune_trials=trials,
        confirm_trials=seeds,
        pruned=0,
        diverged=2 if tuned else 0,
        failed=0,
        best_params={"lr": round(0.31 + index / 10, 4)} if tuned else {},
        best_val=_interval(top, 0.003, seeds),
        test=_interval(top - 0.01, 0.005, seeds),
        reach=tuple(_reach(place, medians[place], verdicts[place], seeds) for place in range(len(TARGETS))),
        curves=curves,
        levels=None if name == "fixed" or seeds == 1 else _levels(pace),
        trials=tuple(_trial(name, number, top, rng, tuned=tuned) for number in range(trials)),
        best_of=_best_of(top, trials),
        price_of_target=TuningCurve(
            tuple(range(1, trials + 1)),
            tuple(medians[1] + 40.0 * n - (40 if not tuned else 0) for n in range(1, trials + 1)),
        ),
        price=Price(
            tune=Spent(
                trials,
                trials * 40,
                trials * 1440,
                None,
                None,
                trials * 0.9,
                0.01 if measured else None,
                0.2,
                None,
            ),
            confirm=Spent(
                seeds,
                seeds * 40,
                seeds * 1440,
                None,
                None,
                seeds * 0.95,
                0.01 if measured else None,
                0.2,
                None,
            ),
        ),
        break_even=None,
        ecdf=Ecdf(
            tuple(range(1, EPOCHS + 1)),
            tuple(1 - math.exp(-epoch / pace) for epoch in range(1, EPOCHS + 1)),
            1 - pace / EPOCHS,
            20,
            seeds,
        ),
        best_val_iqm=top,
    )


def _rate(kind: str, epoch: int) -> float:
    if kind == "lipschitz":
        return 0.9 / (1 + 0.3 * math.log(epoch))
    if kind == "step":
        return 0.5 if epoch <= 20 else 0.1
    return 0.2 + 0.8 * abs(math.sin(epoch / 3)) if kind == "cyclic" else 0.61


def _interval(value: float, half: float, seeds: int) -> Interval:
    return Interval(value, None, None) if seeds == 1 else Interval(value, value - half, value + half)


def _curve(value, half: float, seeds: int, index: int, *, relative: bool = False) -> Curve:
    epochs = range(1, EPOCHS + 1)
    mean = tuple(value(epoch) for epoch in epochs)
    halves = [half * m if relative else half for m in mean]
    times = {
        "epochs": tuple(epochs),
        "steps": tuple(36.0 * epoch for epoch in epochs),
        "seconds": tuple((0.021 + 0.002 * index) * epoch for epoch in epochs),
    }
    low = (None,) * EPOCHS if seeds == 1 else tuple(m - h for m, h in zip(mean, halves, strict=True))
    high = (None,) * EPOCHS if seeds == 1 else tuple(m + h for m, h in zip(mean, halves, strict=True))
    return Curve(times, mean, low, high, (seeds,) * EPOCHS)


def _reach(place: int, median: float, verdict: str, seeds: int) -> Reach:
    never = verdict == "never"
    hits = 0 if never else seeds
    base = (6.0, 11.0)[place]
    steps = {}
    if hits:
        shares = tuple(n / hits for n in range(1, hits + 1))
        for time, unit in (("epochs", 1.0), ("steps", 36.0), ("seconds", 0.021)):
            at = (0.0, *(unit * (median + 0.5 * (n - hits / 2)) for n in range(1, hits + 1)), unit * EPOCHS)
            share = (0.0, *shares, 1.0)
            low = (None,) * len(at) if seeds == 1 else tuple(max(0.0, s - 0.25) for s in share)
            high = (None,) * len(at) if seeds == 1 else tuple(min(1.0, s + 0.25) for s in share)
            steps[time] = Steps(at, share, low, high)
    ratio = base / median
    speedup = _NONE if never else _interval(ratio, 0.2 * ratio, seeds)
    if verdict == "reference":
        speedup = Interval(1.0, None, None)
    return Reach(
        target=TARGETS[place],
        hits=hits,
        runs=seeds,
        hit_rate=Interval(hits / seeds, max(0.0, hits / seeds - 0.28), min(1.0, hits / seeds + 0.28)),
        mean_time=_interval(float(EPOCHS) if never else median + 0.3, 0.8, seeds),
        median_time=None if never else median,
        ert=None if never else median + 0.3,
        ert_seconds=None if never else 0.021 * median,
        speedup=speedup,
        speedup_seconds=speedup,
        note="The runs of some seeds tie." if verdict == "equivalent" else "",
        verdict=verdict if seeds > 1 or verdict in ("reference", "never") else "inconclusive",
        p_value=None if verdict == "reference" else 0.03,
        seeds_needed=24 if verdict == "inconclusive" and seeds > 1 else None,
        shares=steps,
    )


def _unreached(target: float, runs: int, verdict: str) -> Reach:
    known = runs > 0
    return Reach(
        target=target,
        hits=0,
        runs=runs,
        hit_rate=Interval(0.0, 0.0, 0.28) if known else _NONE,
        mean_time=Interval(float(EPOCHS), None, None) if known else _NONE,
        median_time=None,
        ert=None,
        ert_seconds=None,
        speedup=_NONE,
        verdict=verdict,
        speedup_seconds=_NONE,
        p_value=None,
        seeds_needed=None,
        note="",
        shares={},
    )


def _levels(pace: float) -> Levels:
    at = tuple(round(0.5 + 0.02 * n, 3) for n in range(25))
    ratio = tuple(2.4 / pace * (1 + 0.05 * math.sin(9 * level)) for level in at)
    return Levels(at, ratio, tuple(r / 1.3 for r in ratio), tuple(r * 1.3 for r in ratio))


def _trial(name: str, number: int, top: float, rng: random.Random, *, tuned: bool) -> TunedTrial:
    if not tuned:
        return TunedTrial(f"{name}-tune-{number:03d}", {}, top, "completed")
    rate = 10 ** rng.uniform(-3, 0.5)
    lost = rate > 2
    value = None if lost else top - 0.04 * (math.log10(rate) + 0.4) ** 2
    return TunedTrial(f"{name}-tune-{number:03d}", {"lr": rate}, value, "diverged" if lost else "completed")


def _best_of(top: float, trials: int) -> TuningCurve:
    at = tuple(range(1, trials + 1))
    value = tuple(top - 0.05 / n for n in at)
    if trials == 1:
        return TuningCurve(at, value)
    return TuningCurve(at, value, tuple(v - 0.01 for v in value), tuple(v + 0.005 for v in value))
