"""Clauses on the paper's sweeps, each from the ``summary.json`` that a script of studies/paper writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from kept_reports import FAST, SLOW

from claims.measured import rate

NAMES: Final = ("controls", "scaling", "factors", "first-rates")
"""The folders of their reports."""
RULE: Final = "paper"
TUNED_CONTROLS: Final = ("fixed", "cosine")

Sweeps = Mapping[str, Any]


def read_sweeps(reports: Path) -> dict[str, Any]:
    """Return the summaries that are there, by the name of their folder."""
    files = {name: reports / name / "summary.json" for name in NAMES}
    return {
        name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()
    }


def none(_: Sweeps) -> list[str]:
    """Return nothing: no sweep is about the claim."""
    return []


def first_rates(sweeps: Sweeps) -> list[str]:
    """Return the first rate of each of the paper's networks beside the recorded one."""
    found = []
    for one in sweeps.get("first-rates", {}).get("networks", []):
        recorded = " and ".join(rate(value) for value in one["recorded"])
        coded, own = (rate(median(one[which])) for which in ("running", "batch"))
        found.append(
            f"[first rates](../first-rates/report.md), {one['network']}: before any step 1/L is {coded} as "
            f"coded (recorded: {recorded}), and {own} with each batch's own statistics in the batch-norm"
        )
    return found


def follows(sweeps: Sweeps) -> list[str]:
    """Return whether the rule's rate goes as the best fixed one over batch sizes and scales."""
    found = []
    for key, what in (("batch", "batch size"), ("scale", "scale of the last activations")):
        if "scaling" not in sweeps:
            break
        numbers = sweeps["scaling"][key]
        best, rule = (_power(numbers[f"slope_{which}"]) for which in ("best_fixed", "rule"))
        _, low, high = numbers["slope_rule_less_best"]
        verdict = "no difference is seen" if low <= 0 <= high else "it does not follow"
        found.append(
            f"[scaling](../scaling/report.md): over the {what} x the best fixed rate goes as {best}, "
            f"the rule's as {rule}: {verdict}"
        )
    return found


def _power(slope: list[float]) -> str:
    middle, low, high = slope
    return f"x^{middle:.2f} ({low:.2f} to {high:.2f})"


def recomputing(sweeps: Sweeps) -> list[str]:
    """Return what a constant at the rule's mean rate gives instead of the rule."""
    return _levels(sweeps, "bound", "constant", "a constant at the rule's mean rate")


def whole_network(sweeps: Sweeps) -> list[str]:
    """Return what the whole network's curvature gives instead of the last layer's bound."""
    return _levels(sweeps, "bound", "network", "1/λmax of the whole network")


def _levels(sweeps: Sweeps, factor: str, level: str, words: str) -> list[str]:
    found = []
    for task, numbers in sweeps.get("factors", {}).items():
        one = numbers["effects"][factor][level]
        found.append(
            f"[factors](../factors/report.md), {task}: {words} is {one['ratio']:.2f}× as fast as the rule "
            f"({one['low']:.2f} to {one['high']:.2f}), annealing, loss and measurement alike"
        )
    return found


def without_tuning(sweeps: Sweeps) -> list[str]:
    """Return advice on what to take where nothing shall be tuned: the control with the best record."""
    tasks = list(sweeps.get("controls", {}).values())
    if not tasks:
        return []
    names = [name for name in tasks[0]["schedules"] if name not in TUNED_CONTROLS]
    records = {name: _record(tasks, name) for name in names}
    best = max(records, key=lambda name: records[name][0] - records[name][1])
    (won, lost), (rule_won, rule_lost) = records[best], records[RULE]
    if best == RULE or won <= lost:
        return []
    advice = (
        f"**Where nothing shall be tuned, try `{best}` before the rule.** Against a tuned fixed rate it is "
        f"faster on {won} of {len(tasks)} tasks and slower or never there on {lost}, untuned; the rule is "
        f"faster on {rule_won} and slower or never there on {rule_lost} ([controls](../controls/report.md))."
    )
    return [advice]


def _record(tasks: Sequence[Any], name: str) -> tuple[int, int]:
    """Return on how many tasks a schedule is faster than the tuned fixed rate, and on how many slower."""
    verdicts = [task["schedules"][name]["against_fixed"]["verdict"] for task in tasks]
    faster, slower = (sum(one in kind for one in verdicts) for kind in (FAST, SLOW))
    return faster, slower
