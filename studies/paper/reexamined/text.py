"""The page of the recorded runs; every number in it comes from ``numbers``, ``rates`` or ``facts``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape

from lrstudy import __version__
from lrstudy.report.markdown import plain
from lrstudy.report.text import listed
from reexamined import tables
from reexamined.comparisons import Comparison, comparisons, unmatched
from reexamined.facts import CLAIMED_PASS, MODELS, OPTIMIZERS, TUNED, contradictions, title
from reexamined.numbers import WINDOW, Numbers
from reexamined.passing import passing
from reexamined.printed import PRINTED, UNRECORDED
from reexamined.rates import FORGOTTEN, LOST, Rates, adam_rises


def page(numbers: Numbers, command: str) -> str:
    """Return ``recorded-runs.md``."""
    every = tables.every_rate(numbers)
    against = comparisons(numbers)
    template = Environment(
        undefined=StrictUndefined, trim_blocks=True, autoescape=select_autoescape(default_for_string=False)
    ).from_string(Path(__file__).with_name("recorded-runs.md.j2").read_text(encoding="utf-8"))
    return (
        template.render(
            tables=tables,
            numbers=numbers,
            headline=_headline(numbers, every, against),
            **_printed(numbers),
            against=against,
            wins=wins(against),
            unmatched=[f"{plain(title(*run[:3]))}, {plain(run[3])}" for run in unmatched()],
            window=WINDOW,
            passed=_passing(numbers),
            rates=every,
            lost=[each for each in every if each.lost_epochs],
            lost_below=f"{LOST:g}",
            by_hand=sum(bool(each.hand_set) for each in every),
            times=by_optimizer(every),
            shares=_ends([100 * each.share for each in every if each.share is not None], ".0f"),
            falls=_ends([each.logged_fall for each in every if not each.rises], ".1f"),
            rising=sum(each.rises for each in every),
            adam=adam_rises(numbers.runs),
            forgotten=FORGOTTEN,
            gaps=_ends([100 * (run.best - run.late) for run in numbers.runs], ".1f"),
            tuned=_tuned(numbers),
            contradictions=_contradictions(),
            command=command,
            version=__version__,
            digest=numbers.digest,
        )
        + "\n"
    )


def _printed(numbers: Numbers) -> dict[str, Any]:
    known = [run for run in numbers.runs if run.agrees is not None]
    odd = []
    for run in known:
        if not run.agrees:
            what = "its last epoch" if run.is_last else "another value"
            name = f"{plain(title(*run.run[:3]))}, {plain(run.schedule)}"
            odd.append(f"{name} is printed with {what}, {run.printed:.2f} (best: {tables.share(run.best)})")
    return {
        "agree": sum(bool(run.agrees) for run in known),
        "compared": len(known),
        "odd": listed(odd),
        "printed": len(PRINTED),
        "unrecorded": len(UNRECORDED),
    }


def _headline(numbers: Numbers, every: Sequence[Rates], against: Sequence[Comparison]) -> str:
    known = [run for run in numbers.runs if run.agrees is not None]
    agree = sum(bool(run.agrees) for run in known)
    text = f"{agree} of {len(known)} printed accuracies with a history are the best epoch of a single run"
    ranges = by_optimizer(every)
    if ranges:
        text += f"; the computed rates were {listed(ranges)} times their untuned baselines'"
    if against:
        won = [f"{count} of {of} against a rate of {lr:g}" for lr, count, of in wins(against)]
        text += f", and the rule beats them in {listed(won)}"
    return f"{text}. These runs cannot tell the rule from a larger rate."


def wins(against: Iterable[Comparison]) -> list[tuple[float, int, int]]:
    """Return for each rate of the baselines (rate, comparisons that the rule wins, comparisons)."""
    found: dict[float, list[bool]] = {}
    for each in against:
        found.setdefault(each.baseline_lr, []).append(each.gain > 0)
    return [(lr, sum(won), len(won)) for lr, won in sorted(found.items(), reverse=True)]


def by_optimizer(every: Sequence[Rates]) -> list[str]:
    """Return the range of the rates over the baselines', for each optimizer."""
    found = []
    for optimizer, name in OPTIMIZERS.items():
        known = [each.times for each in every if each.run.run[2] == optimizer and each.times is not None]
        if known:
            low, high = tables.times(min(known)), tables.times(max(known))
            found.append(f"{low if low == high else f'{low} to {high}'} ({name})")
    return found


def _ends(values: Sequence[float], form: str) -> tuple[str, str] | None:
    return (format(min(values), form), format(max(values), form)) if values else None


def _passing(numbers: Numbers) -> list[str]:
    found = []
    for task in numbers.tasks:
        passed = passing(task)
        if passed is None or passed.first is None:
            continue
        text = f"**{plain(task.title)}**: {plain(passed.run.schedule)} first passes the fixed run's best "
        text += f"({tables.share(passed.best)}%) at **epoch {passed.first}**"
        if passed.for_good is not None:
            text += f", and is never below it again from epoch {passed.for_good} on"
        else:
            text += ", and is below it again in its last epoch"
        if passed.smoothed is not None:
            text += f". By means of {WINDOW} epochs on both sides it passes at epoch {passed.smoothed}"
        if passed.run.run[:3] == ("cifar-10", "resnet-20-v1", "sgd"):
            text += f". The paper's 2019 text says {CLAIMED_PASS}"
        found.append(f"{text}. How far another seed would move this is unknown.")
    return found


def _tuned(numbers: Numbers) -> str:
    """Return what well-tuned step decay reaches beside the best of these runs, where that is published."""
    parts = []
    for network in dict.fromkeys(run.run[:2] for run in numbers.runs):
        if network in TUNED:
            best = max(100 * run.best for run in numbers.runs if run.run[:2] == network)
            data = {"cifar-10": "CIFAR-10", "cifar-100": "CIFAR-100"}[network[0]]
            parts.append(
                f"{TUNED[network]:.2f}% on {data} with {MODELS[network[1]]} (best here: {best:.2f}%)"
            )
    return f" Well-tuned step decay is reported to reach {listed(parts)}." if parts else ""


def _contradictions() -> str:
    return listed(
        [
            f"{plain(title(*run[:3]))}, {plain(run[3])} (table {printed:g}, folder {folder:g})"
            for run, (printed, folder) in contradictions().items()
        ]
    )
