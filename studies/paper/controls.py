"""The rule's mends and controls over tasks: against a tuned fixed rate, and against the rule as it is.

    lrstudy run studies/paper/controls-*.toml
    python studies/paper/controls.py runs/controls-* [--out reports/controls]

Purpose:  one table of all control studies, each schedule in a row and each task in a column
Data:     the stores of the studies controls-*.toml, run before
Hardware: any; seconds
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrstudy.analysis import Summary, analyse
from lrstudy.store import Store, open_store

RULE, BASE = "paper", "fixed"
# Those that are no form of the rule come after its forms.
OTHERS = ("constant", "cosine", "polyak", "d-adaptation", "prodigy", "dog", "schedule-free")
SIGNS = {"faster": "▲", "slower": "▼", "never": "▼", "equivalent": "="}


class Against:
    """A store whose study is judged against another of its schedules."""

    def __init__(self, store: Store, reference: str) -> None:
        self._store = store
        spec = store.study.spec
        spec = {**spec, "target": {**spec["target"], "reference": reference}}
        self.study = dataclasses.replace(store.study, spec=spec)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table and its numbers; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="folders of the stores")
    parser.add_argument("--out", type=Path, default=Path("reports/controls"))
    given = parser.parse_args(arguments)
    numbers = {}
    for run in given.runs:
        store = open_store(run)
        numbers[store.study.name] = task(store)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "summary.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    (given.out / "report.md").write_text(page(numbers), encoding="utf-8")
    print(f"report: {given.out / 'report.md'}")
    return 0


def task(store: Store) -> dict[str, Any]:
    """Return the numbers of one task: each schedule's runs, and both comparisons."""
    against = {reference: analyse(Against(store, reference)) for reference in (BASE, RULE)}
    fixed = {one.name: one for one in against[BASE].schedules}
    schedules = {}
    for name, one in fixed.items():
        reach = one.reach[0]
        schedules[name] = {
            "hits": reach.hits,
            "runs": reach.runs,
            "diverged": one.diverged,
            "trials": one.tune_trials + one.confirm_trials,
            **{f"against_{reference}": compared(summary, name) for reference, summary in against.items()},
        }
    return {"target": against[BASE].targets[0], "clock": against[BASE].clock, "schedules": schedules}


def compared(summary: Summary, name: str) -> dict[str, Any] | None:
    """Return a schedule's speedup with its interval, and the verdict; None for the reference itself."""
    if name == summary.reference:
        return None
    found = next(one for one in summary.schedules if one.name == name).reach[0]
    speed = found.speedup
    return {"ratio": speed.value, "low": speed.low, "high": speed.high, "verdict": found.verdict}


def page(numbers: dict[str, Any]) -> str:
    """Return the page: both tables."""
    names = list(dict.fromkeys(name for each in numbers.values() for name in each["schedules"]))
    forms = [name for name in names if name not in OTHERS and name not in (BASE, RULE)]
    rows = [RULE, *forms, *(name for name in OTHERS if name in names)]
    against_base = (
        "Times as fast to the target as a **fixed rate that was tuned** (16 trials on each of 8 splits);"
        " nothing else is tuned but `cosine`. ▲ faster, ▼ slower or never there, = equivalent by the study's"
        " own verdict; in brackets the runs that reached the target, and the trials that diverged.\n"
    )
    against_rule = (
        "Times as fast as **the rule as it is** (`paper`: 1/L of the last layer, measured on the training"
        " steps):\n"
    )
    parts = [
        "# The rule, its mends and its controls over tasks\n",
        _sentence(numbers, rows),
        against_base,
        _table(numbers, rows, BASE),
        against_rule,
        _table(numbers, [row for row in rows if row != RULE], RULE),
        "What each name stands for is in the study files.\n",
        "---\n\nMade by `python studies/paper/controls.py`.\n",
    ]
    return "\n".join(parts)


def _sentence(numbers: dict[str, Any], rows: Sequence[str]) -> str:
    found = []
    for name in rows:
        verdicts = [_compared(each, name, RULE) for each in numbers.values()]
        better = sum(one is not None and one["verdict"] == "faster" for one in verdicts)
        worse = sum(one is not None and one["verdict"] in ("slower", "never") for one in verdicts)
        if better and not worse:
            found.append(f"`{name}` on {better} of {len(numbers)}")
    told = ", ".join(found) if found else "none"
    return f"**Faster than the rule as it is on some tasks and slower on none: {told}.**\n"


def _compared(each: dict[str, Any], name: str, reference: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = each["schedules"].get(name, {}).get(f"against_{reference}")
    return found


def _table(numbers: dict[str, Any], rows: Sequence[str], reference: str) -> str:
    titles = [f"{name.removeprefix('controls-')}, {each['target']:.0%}" for name, each in numbers.items()]
    lines = [f"| schedule | {' | '.join(titles)} |", "| :-- |" + " --: |" * len(titles)]
    for name in rows:
        cells = [_cell(each, name, reference) for each in numbers.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(each: dict[str, Any], name: str, reference: str) -> str:
    schedule = each["schedules"].get(name)
    if schedule is None:
        return "–"
    runs = f"{schedule['hits']}/{schedule['runs']}"
    if schedule["diverged"]:
        runs += f", {schedule['diverged']} diverged"
    found = schedule[f"against_{reference}"]
    if found is None:
        return f"({runs})"
    sign = SIGNS.get(found["verdict"], "")
    if found["ratio"] is None or not schedule["hits"]:
        return f"{sign} ({runs})"
    if found["low"] is None or found["high"] is None:  # one tuning of each has no interval
        return f"{found['ratio']:.2f} {sign} ({runs})"
    return f"{found['ratio']:.2f} ({found['low']:.2f}–{found['high']:.2f}) {sign} ({runs})"


if __name__ == "__main__":
    sys.exit(main())
