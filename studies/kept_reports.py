"""Kept reports as data: their summaries and tables, and the clauses in which the pages on them speak."""

from __future__ import annotations

import csv
import json
import math
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from lrstudy.report.text import interval, level, metric_words, ratio
from lrstudy.rules.metrics import METRICS, Metric

FAST, SLOW, OPEN = ("faster",), ("slower", "never"), "inconclusive"
LIPSCHITZ: Final = "lipschitz"
_STUDIES: Final = Path(__file__).parent


@dataclass(frozen=True)
class Study:
    """A kept report: its name, its ``summary.json``, its folder, and the way from a page to the reports."""

    name: str
    summary: dict[str, Any]
    folder: Path = Path()
    way: str = ""

    @property
    def metric(self) -> Metric:
        """The metric that the study is judged by, its own if it declares one."""
        name = self.summary["metric"]
        if name in METRICS:
            return METRICS[name]
        own = self.file["task"]["metrics"][name]
        goal, low, high = own["goal"], own.get("low", -math.inf), own.get("high", math.inf)
        return Metric(name, name, goal == "max", low, high, None)

    @property
    def link(self) -> str:
        return f"[{self.name}]({self.way}{self.name}/report.md)"

    @property
    def others(self) -> list[dict[str, Any]]:
        """The schedules that are compared with the reference."""
        return [one for one in self.summary["schedules"] if one["name"] != self.summary["reference"]]

    def get(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.others if one["name"] == name), None)

    def level(self, target: dict[str, Any]) -> str:
        """Return a target's level; one that is no share with the metric's name."""
        words = "" if self.metric.is_share else f" {metric_words(self.metric)}"
        return f"{level(self.metric, target['target'])}{words}"

    @property
    def file(self) -> dict[str, Any]:
        """The study file of that name, as TOML; empty if it is not shipped."""
        return _study_files().get(self.summary["study"], {})

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a table of the report; none if it has no such table."""
        path = self.folder / "tables" / f"{name}.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))


@cache
def _study_files() -> dict[str, dict[str, Any]]:
    files = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(_STUDIES.rglob("*.toml"))]
    return {file["name"]: file for file in files if "name" in file}


def read_study(reports: Path, name: str, way: str = "") -> Study | None:
    """Return a kept report; None if there is none of that name."""
    file = reports / name / "summary.json"
    if not file.exists():
        return None
    return Study(name, json.loads(file.read_text(encoding="utf-8")), reports / name, way)


def primary(schedule: dict[str, Any]) -> dict[str, Any]:
    """Return a schedule's comparison at the target that carries the verdict, else at the last one."""
    targets: list[dict[str, Any]] = schedule["targets"]
    return next((each for each in targets if each.get("primary")), targets[-1])


def speed(target: dict[str, Any]) -> tuple[str, str]:
    """Return the speedup that the verdict is on, and its interval, in words."""
    own = target["speedup_over_tunings"]
    found = target["speedup"] if own["low"] is None else own
    limits = (found["low"], found["high"])
    return ratio(found["ratio"], *limits), interval(*limits)


def said(study: Study, schedule: dict[str, Any]) -> str:
    """Return a schedule's speed to the primary target as a clause without the study."""
    target = primary(schedule)
    if target["verdict"] == "never":
        return f"never reaches {study.level(target)}"
    times, limits = speed(target)
    base, to = study.summary["reference"], study.level(target)
    return f"is {times} as fast as {base} to {to} ({limits}, {word_of(target)})"


def on(study: Study, schedule: dict[str, Any]) -> str:
    return f"on {study.link} it {said(study, schedule)}"


def answer(verdicts: Iterable[str], yes: Sequence[str], no: Sequence[str]) -> str:
    """Return the word that an answer begins with."""
    found = set(verdicts)
    held, against = found & set(yes), found & set(no)
    if held and against:
        return "It depends on the task"
    if not held and not against:
        return "Open"
    return ("Yes" if held else "No") + (", where it is decided" if OPEN in found else "")


def with_schedule(studies: Sequence[Study], name: str) -> list[tuple[Study, dict[str, Any]]]:
    return [(study, found) for study in studies if (found := study.get(name)) is not None]


def word_of(comparison: dict[str, Any]) -> str:
    return "open" if comparison["verdict"] == OPEN else str(comparison["verdict"])
