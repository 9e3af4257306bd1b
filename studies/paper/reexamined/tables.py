"""The Markdown tables of the recorded runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from lrstudy.report.markdown import plain
from reexamined.comparisons import Comparison
from reexamined.facts import FACTS, title
from reexamined.numbers import WINDOW, Numbers, Task, Way
from reexamined.printed import UNRECORDED
from reexamined.rates import Rates, adam_rises, rates

NONE: Final = "–"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A Markdown table whose first ``text`` columns are words."""
    lines = [_row(head), _row([":--" if place < text else "--:" for place in range(len(head))])]
    return "\n".join([*lines, *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def share(value: float) -> str:
    """Return an accuracy as a percentage without its sign."""
    return f"{100 * value:.2f}"


def times(value: float) -> str:
    """Return a factor, to two significant digits or to the whole number."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def rate(value: float) -> str:
    """Return a learning rate to three significant digits."""
    return f"{value:.3g}" if value >= 1e-4 else f"{value:.1e}"


def printed_table(numbers: Numbers) -> str:
    """Return the recorded runs with what is printed of them, and the printed runs without a history."""
    head = ["task", "schedule", "printed", "best epoch's", "agree", "at epoch"]
    head += ["last epoch's", "last ten", "best − last ten"]
    rows = []
    for task in numbers.tasks:
        for run in task.runs:
            printed = NONE if run.printed is None else f"{run.printed:.2f}"
            agrees = {None: NONE, True: "yes", False: "**no**"}[run.agrees]
            gap = f"{100 * (run.best - run.late):.2f}"
            rows.append(
                [
                    *(plain(task.title), plain(run.schedule), printed, share(run.best)),
                    *(f"{agrees}: the last epoch's" if run.is_last else agrees, str(run.best_epoch)),
                    *(share(run.final), share(run.late), gap),
                ]
            )
    for (*task, schedule), printed in UNRECORDED.items():
        none = [NONE] * 6
        rows.append([plain(title(*task)), plain(schedule), f"{printed.percent:.2f}", *none])
    return table(head, rows, text=2)


def comparison_table(found: Sequence[Comparison]) -> str:
    """Return the rule against each untuned baseline."""
    head = ["task", "baseline's rate", "baseline", "the rule, printed", "points", "the rule, best recorded"]
    rows = [
        [
            *(plain(title(*each.task)), f"{each.baseline_lr:g}", f"{each.baseline:.2f}", f"{each.rule:.2f}"),
            f"{each.gain:+.2f}" if each.gain > 0 else f"**{each.gain:+.2f}**",
            NONE if each.recorded is None else f"{each.recorded:.2f}",
        ]
        for each in found
    ]
    return table(head, rows)


def level_table(task: Task) -> str:
    """Return the epochs to each level on a task."""
    head = [f"{plain(task.title)}: level", *(plain(run.schedule) for run in task.runs)]
    named = {run.best: run.schedule for run in task.runs if run.schedule in ("baseline", "fixed")}
    rows = []
    for level, ways in zip(task.levels, task.ways, strict=True):
        what = f"{100 * level:.2f}%" if level in named else f"{100 * level:g}%"
        what += f" (the best of {named[level]})" if level in named else ""
        rows.append([what, *map(_way, ways)])
    return table(head, rows)


def _way(way: Way) -> str:
    if way.first is None:
        return "never"
    return f"{way.first} ({NONE if way.held is None else way.held})"


def rate_table(numbers: Numbers) -> str:
    """Return the rates that were really used."""
    head = ["task", "schedule", "λ", "logged", "divided by", "effective at the end"]
    head += ["decay's share of the fall", "times the baseline's", "accuracy over the baseline's, points"]
    rows = []
    for task in numbers.tasks:
        for each in rates(task):
            first, last = each.logged
            part = each.share
            rows.append(
                [
                    *(plain(task.title), plain(each.run.schedule), f"{each.run.settings.l2:g}"),
                    *(f"{rate(first)} → {rate(last)}", f"{each.factor:,.1f}", rate(each.effective)),
                    "the rule's rate rises" if part is None else f"{100 * part:.0f}%",
                    NONE if each.times is None else f"×{times(each.times)}",
                    NONE if each.gain is None else f"{each.gain:+.2f}",
                ]
            )
    return table(head, rows, text=2)


def first_rate_table(numbers: Numbers) -> str:
    """Return the rates of the first two epochs, and the epochs whose rate nothing computed."""
    head = ["task", "schedule", "epoch 1", "epoch 2", f"epoch {WINDOW}", "set by hand at epoch"]
    rows = []
    for task in numbers.tasks:
        for each in rates(task):
            by_hand = ", ".join(map(str, each.hand_set)) or NONE
            logged = (rate(value) for value in (*each.first, each.logged[0]))
            rows.append([plain(task.title), plain(each.run.schedule), *logged, by_hand])
    return table(head, rows, text=2)


def rise_table(numbers: Numbers) -> str:
    """Return Auto-Adam's recorded rises beside what the missing bias correction makes."""
    head = ["task", "schedule", "rate at epoch 50 → at the end", "factor"]
    head += ["factor of the missing correction", "corrected"]
    rows = [
        [
            *(plain(title(*each.run.run[:3])), plain(each.run.schedule)),
            *(f"{rate(each.ends[0])} → {rate(each.ends[1])}", f"{each.uncorrected:.2f}"),
            *(f"{each.missing:.2f}", f"{each.corrected:.2f}"),
        ]
        for each in adam_rises(numbers.runs)
    ]
    return table(head, rows, text=2)


def fact_table() -> str:
    """Return what no history shows, with its source."""
    return table(["what", "where"], [[plain(fact.text), plain(fact.source)] for fact in FACTS], text=2)


def every_rate(numbers: Numbers) -> list[Rates]:
    """Return the logged rates of all tasks."""
    return [each for task in numbers.tasks for each in rates(task)]
