"""``summary.json``: the numbers of the recorded runs, for programs and for the page of claims."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from reexamined.comparisons import comparisons, unmatched
from reexamined.facts import FACTS, MNIST_ACCURACIES, MNIST_RATES, TUNED
from reexamined.numbers import WINDOW, Numbers
from reexamined.passing import passing
from reexamined.printed import UNRECORDED, Run
from reexamined.rates import FORGOTTEN, adam_rises, rates

_COLUMNS = ("dataset", "model", "optimizer", "schedule")


def summary(numbers: Numbers) -> str:
    """Return the text of ``summary.json``."""
    data = {
        "schema_version": 2,
        "histories_sha256": numbers.digest,
        "rows": numbers.rows,
        "table_1": _table(numbers),
        "printed_without_history": [
            {**_named(run), "printed_percent": each.percent} for run, each in UNRECORDED.items()
        ],
        "against_baselines": [
            {
                **dict(zip(_COLUMNS, (*each.task, each.schedule), strict=True)),
                "baseline_lr": each.baseline_lr,
                "baseline_percent": each.baseline,
                "rule_percent": each.rule,
                "points": each.gain,
                "rule_recorded_percent": each.recorded,
            }
            for each in comparisons(numbers)
        ],
        "not_compared": [_named(run) for run in unmatched()],
        "epochs_to_level": _levels(numbers),
        "adaptive_passes_fixed": _passes(numbers),
        "rates": _rates(numbers),
        "auto_adam": [
            {
                **_named(each.run.run),
                "from_epoch": FORGOTTEN,
                "factor": _rounded(each.uncorrected),
                "missing_correction": _rounded(each.missing),
                "corrected": _rounded(each.corrected),
            }
            for each in adam_rises(numbers.runs)
        ],
        "tuned_step_decay_percent": [
            {"dataset": dataset, "model": model, "percent": percent, **_best(numbers, dataset, model)}
            for (dataset, model), percent in TUNED.items()
        ],
        "mnist": {"rates": MNIST_RATES, "val_accuracies": MNIST_ACCURACIES},
        "facts": [{"text": fact.text, "source": fact.source} for fact in FACTS],
    }
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _named(run: Run) -> dict[str, str]:
    return dict(zip(_COLUMNS, run, strict=True))


def _best(numbers: Numbers, dataset: str, model: str) -> dict[str, float | None]:
    found = [run.best for run in numbers.runs if run.run[:2] == (dataset, model)]
    return {"best_recorded_percent": round(100 * max(found), 2) if found else None}


def _table(numbers: Numbers) -> list[dict[str, Any]]:
    return [
        {
            **_named(run.run),
            "printed_percent": run.printed,
            "best": _rounded(run.best),
            "agrees": run.agrees,
            "is_last_epoch": run.is_last,
            "best_epoch": run.best_epoch,
            "final": _rounded(run.final),
            "last_ten": _rounded(run.late),
        }
        for run in numbers.runs
    ]


def _levels(numbers: Numbers) -> list[dict[str, Any]]:
    return [
        {
            "task": task.name,
            "level": _rounded(level),
            "schedule": run.schedule,
            "first": way.first,
            f"mean_of_{WINDOW}": way.held,
        }
        for task in numbers.tasks
        for level, ways in zip(task.levels, task.ways, strict=True)
        for run, way in zip(task.runs, ways, strict=True)
    ]


def _passes(numbers: Numbers) -> dict[str, Any]:
    return {
        task.name: {
            "schedule": passed.run.schedule,
            "level": _rounded(passed.best),
            "first": passed.first,
            f"means_of_{WINDOW}": passed.smoothed,
            "for_good": passed.for_good,
        }
        for task in numbers.tasks
        if (passed := passing(task)) is not None
    }


def _rates(numbers: Numbers) -> list[dict[str, Any]]:
    return [
        {
            **_named(each.run.run),
            "l2": each.run.settings.l2,
            "first_epochs": [_rounded(value) for value in each.first],
            f"logged_at_{WINDOW}": _rounded(each.logged[0]),
            "logged_at_end": _rounded(each.logged[1]),
            "lost_epochs": each.lost_epochs,
            "set_by_hand_at": list(each.hand_set),
            "divided_by": _rounded(each.factor),
            "effective_at_end": _rounded(each.effective),
            "logged_fall": _rounded(each.logged_fall),
            "decay_share_of_fall": None if each.share is None else _rounded(each.share),
            "times_baseline": None if each.times is None else _rounded(each.times),
            "points": None if each.gain is None else round(each.gain, 2),
        }
        for task in numbers.tasks
        for each in rates(task)
    ]


def _rounded(value: float) -> float:
    """Return a value to six significant digits: what was recorded is single precision."""
    return float(np.format_float_positional(value, precision=6, fractional=False))
