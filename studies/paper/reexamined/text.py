"""The report's words and tables; every number in them comes from ``numbers`` or ``facts``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, select_autoescape

from lrstudy import __version__
from lrstudy.report.markdown import plain
from lrstudy.report.text import listed
from reexamined.facts import CLAIMED_PASS, MODELS, TUNED, title
from reexamined.numbers import WINDOW, Numbers, Rates, Task, Way, passing, rates

NONE = "–"


def report(numbers: Numbers, command: str) -> str:
    """``report.md``."""
    known = [run for run in numbers.runs if run.agrees is not None]
    every = [rate for task in numbers.tasks for rate in rates(task)]
    gaps = [100 * (run.best - run.late) for run in numbers.runs]
    agree = sum(bool(run.agrees) for run in known)
    near, far = (pick(every, key=lambda rate: rate.times, default=None) for pick in (min, max))
    template = Environment(
        undefined=StrictUndefined, trim_blocks=True, autoescape=select_autoescape(default_for_string=False)
    ).from_string(Path(__file__).with_name("report.md.j2").read_text(encoding="utf-8"))
    return (
        template.render(
            headline=_headline(every, agree, len(known)),
            runs=numbers.runs,
            tasks=numbers.tasks,
            table_1=_table_1(numbers),
            agree=agree,
            printed=len(known),
            window=WINDOW,
            levels=[_ways(task) for task in numbers.tasks],
            passed=_passing(numbers),
            rates=every,
            rate_table=_rate_table(numbers),
            near=_pair(near) if near is not far else None,
            far=_pair(far),
            shares=_ends([100 * rate.share for rate in every], ".0f"),
            falls=_ends([rate.logged_fall for rate in every], ".1f"),
            gaps=_ends(gaps, ".1f"),
            tuned=_tuned(numbers),
            command=command,
            version=__version__,
            digest=numbers.digest,
        )
        + "\n"
    )


def _headline(every: Sequence[Rates], agree: int, known: int) -> str:
    text = (
        f"{f'All {known}' if agree == known else f'{agree} of {known}'} printed accuracies at hand are the "
    )
    text += "best epoch of a single run"
    if every:
        low, high = min(rate.times for rate in every), max(rate.times for rate in every)
        text += f"; the computed rates were {_times(low)} to {_times(high)} times their untuned baselines',"
        text += " and most of their fall is a decay that every run had"
    return f"{text}. These runs cannot tell the rule from a larger rate."


def _ends(values: Sequence[float], form: str) -> tuple[str, str] | None:
    return (format(min(values), form), format(max(values), form)) if values else None


def _pair(rate: Rates | None) -> dict[str, str] | None:
    if rate is None:
        return None
    name = plain(title(*rate.run.run[:3]))
    return {"times": _times(rate.times), "name": name, "gain": f"{rate.gain:.1f}"}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A Markdown table whose first ``text`` columns are words."""
    lines = [_row(head), _row([":--" if place < text else "--:" for place in range(len(head))])]
    return "\n".join([*lines, *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _share(value: float) -> str:
    return f"{100 * value:.2f}"


def _times(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def _rate(value: float) -> str:
    return f"{value:.3g}" if value >= 1e-4 else f"{value:.1e}"


def _table_1(numbers: Numbers) -> str:
    head = [
        "task",
        "schedule",
        "printed",
        "best epoch's",
        "agree",
        "at epoch",
        "last epoch's",
        "last ten",
        "best − last ten",
    ]
    rows = []
    for task in numbers.tasks:
        for run in task.runs:
            printed = NONE if run.published is None else f"{run.published:.2f}"
            agrees = {None: NONE, True: "yes", False: "**no**"}[run.agrees]
            gap = f"{100 * (run.best - run.late):.2f}"
            rows.append(
                [
                    *(plain(task.title), plain(run.schedule), printed, _share(run.best), agrees),
                    *(str(run.best_epoch), _share(run.final), _share(run.late), gap),
                ]
            )
    return _table(head, rows, text=2)


def _ways(task: Task) -> str:
    head = [f"{plain(task.title)}: level", *(plain(run.schedule) for run in task.runs)]
    named = {run.best: run.schedule for run in task.runs if run.schedule in ("baseline", "fixed")}
    rows = []
    for level, ways in zip(task.levels, task.ways, strict=True):
        what = f"{100 * level:.2f}%" if level in named else f"{100 * level:g}%"
        what += f" (the best of {named[level]})" if level in named else ""
        rows.append([what, *map(_way, ways)])
    return _table(head, rows)


def _way(way: Way) -> str:
    if way.first is None:
        return "never"
    return f"{way.first} ({NONE if way.held is None else way.held})"


def _passing(numbers: Numbers) -> list[str]:
    found = []
    for task in numbers.tasks:
        passed = passing(task)
        if passed is None or passed.first is None:
            continue
        text = f"**{plain(task.title)}**: the adaptive run first passes the fixed run's best "
        text += f"({_share(passed.best)}%) at **epoch {passed.first}**"
        if passed.for_good is not None:
            text += f", and is never below it again from epoch {passed.for_good} on"
        if passed.smoothed is not None:
            text += f". By means of {WINDOW} epochs on both sides it passes at epoch {passed.smoothed}"
        text += (
            f". The paper's 2019 text says {CLAIMED_PASS}. How far another seed would move this is unknown."
        )
        found.append(text)
    return found


def _rate_table(numbers: Numbers) -> str:
    head = ["task", "schedule", "logged", "divided by", "effective at the end", "decay's share of the fall"]
    head += ["times the baseline's", "accuracy over the baseline's, points"]
    rows = []
    for task in numbers.tasks:
        for rate in rates(task):
            first, last = rate.logged
            rows.append(
                [
                    *(plain(task.title), plain(rate.run.schedule), f"{_rate(first)} → {_rate(last)}"),
                    *(f"{rate.factor:,.1f}", _rate(rate.effective), f"{100 * rate.share:.0f}%"),
                    *(f"×{_times(rate.times)}", f"{rate.gain:+.2f}"),
                ]
            )
    return _table(head, rows, text=2)


def _tuned(numbers: Numbers) -> str:
    """What well-tuned step decay reaches beside the best of these runs, where that is published."""
    parts = []
    for network in dict.fromkeys(run.run[:2] for run in numbers.runs):
        if network in TUNED:
            best = max(100 * run.best for run in numbers.runs if run.run[:2] == network)
            parts.append(f"{TUNED[network]:.2f}% on {MODELS[network[1]]} (best here: {best:.2f}%)")
    return f" Well-tuned step decay is reported to reach {listed(parts)}." if parts else ""


def summary(numbers: Numbers) -> str:
    """``summary.json``: the report's numbers for programs."""
    data: dict[str, Any] = {
        "schema_version": 1,
        "histories_sha256": numbers.digest,
        "rows": numbers.rows,
        "table_1": [
            {
                **dict(zip(("dataset", "model", "optimizer", "schedule"), run.run, strict=True)),
                "printed_percent": run.published,
                "best": _rounded(run.best),
                "agrees": run.agrees,
                "best_epoch": run.best_epoch,
                "final": _rounded(run.final),
                "last_ten": _rounded(run.late),
            }
            for run in numbers.runs
        ],
        "epochs_to_level": [
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
        ],
        "adaptive_passes_fixed": {
            task.name: {
                "level": _rounded(passed.best),
                "first": passed.first,
                f"means_of_{WINDOW}": passed.smoothed,
                "for_good": passed.for_good,
            }
            for task in numbers.tasks
            if (passed := passing(task)) is not None
        },
        "rates": [
            {
                "task": task.name,
                "schedule": rate.run.schedule,
                "logged_at_end": _rounded(rate.logged[1]),
                "divided_by": _rounded(rate.factor),
                "effective_at_end": _rounded(rate.effective),
                "decay_share_of_fall": _rounded(rate.share),
                "times_baseline": _rounded(rate.times),
            }
            for task in numbers.tasks
            for rate in rates(task)
        ],
    }
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _rounded(value: float) -> float:
    """To six significant digits: what was recorded is single precision."""
    return float(np.format_float_positional(value, precision=6, fractional=False))
