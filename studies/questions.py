"""Five questions about learning-rate schedules, each answered in a sentence from the kept reports.

    python studies/questions.py [--reports reports] [--out reports/questions.md]

Purpose:  what the kept studies say, worded from their numbers: other numbers give another sentence
Data:     summary.json of the reports of digits, all-schedules and fashion-mnist-small; one with a single
          tuning of each schedule is left out
Hardware: any; a second on one core
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrstudy.analysis.rule_disagreements import RULES_DISAGREE
from lrstudy.report.text import change, change_interval, change_unit, interval, level, listed, ratio
from lrstudy.rules.metrics import METRICS, Metric

STUDIES = ("digits", "fashion-mnist-small", "all-schedules")
FAST, SLOW, OPEN = ("faster",), ("slower", "never"), "inconclusive"
# Their rates follow the Lipschitz rule, which has a question for itself.
LIPSCHITZ = "lipschitz"


@dataclass(frozen=True)
class Study:
    """A kept report: its name, and its ``summary.json``."""

    name: str
    summary: dict[str, Any]

    @property
    def metric(self) -> Metric:
        return METRICS[self.summary["metric"]]

    @property
    def link(self) -> str:
        return f"[{self.name}]({self.name}/report.md)"

    @property
    def others(self) -> list[dict[str, Any]]:
        """The schedules that are compared with the reference."""
        return [one for one in self.summary["schedules"] if one["name"] != self.summary["reference"]]

    def get(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.others if one["name"] == name), None)

    def level(self, target: dict[str, Any]) -> str:
        return level(self.metric, target["target"])


def primary(schedule: dict[str, Any]) -> dict[str, Any]:
    """Return a schedule's comparison at the target that carries the study's verdict."""
    found: dict[str, Any] = next(each for each in schedule["targets"] if each["primary"])
    return found


def speed(target: dict[str, Any]) -> tuple[str, str]:
    """Return the speedup that the verdict is on, and its interval, in words."""
    own = target["speedup_over_tunings"]
    found = target["speedup"] if own["low"] is None else own
    limits = (found["low"], found["high"])
    return ratio(found["ratio"], *limits), interval(*limits)


def said(study: Study, schedule: dict[str, Any]) -> str:
    """Return a schedule's speed to the primary target as a clause without the study."""
    target = primary(schedule)
    to = f"{study.level(target)} {study.summary['metric'].removeprefix('val_')}"
    if target["verdict"] == "never":
        return f"never reaches {to}"
    times, limits = speed(target)
    word = "open" if target["verdict"] == OPEN else target["verdict"]
    return f"reaches {to} {times} as fast as {study.summary['reference']} ({limits}, {word})"


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


def needs_no_tuning(studies: Sequence[Study]) -> str:
    rows = with_schedule(studies, LIPSCHITZ)
    word = answer([primary(one)["verdict"] for _, one in rows], (*FAST, "equivalent"), SLOW)
    clauses = listed([on(study, one) for study, one in rows])
    tuned = with_schedule(studies, f"{LIPSCHITZ}-tuned")
    rest = f"; tuned, {listed([on(study, one) for study, one in tuned])}" if tuned else ""
    return f"{word}: untuned, {clauses}{rest}."


def cyclic_is_worth_it(studies: Sequence[Study]) -> str:
    rows = with_schedule(studies, "cyclic")
    word = answer([primary(one)["verdict"] for _, one in rows], FAST, (*SLOW, "equivalent"))
    return f"{word}: {listed([on(study, one) for study, one in rows])}."


def schedules_beat_fixed(studies: Sequence[Study]) -> str:
    rows = [
        (study, one)
        for study in studies
        for one in study.others
        if one["tuned"] and one["kind"] not in (LIPSCHITZ, "fixed")
    ]
    faster = [(study, one) for study, one in rows if primary(one)["verdict"] in FAST]
    slower = sum(primary(one)["verdict"] in SLOW for _, one in rows)
    undecided = sum(primary(one)["verdict"] == OPEN for _, one in rows)
    where = listed([study.link for study in studies])
    count = (
        f"of {len(rows)} comparisons in {where} {len(faster)} are faster, {slower} slower or never there and "
        f"{undecided} open"
    )
    if not faster:
        return f"{'No' if slower > undecided else 'Open'}: {count}."
    study, best = max(faster, key=lambda row: primary(row[1])["speedup"]["ratio"])
    word = "Yes" if len(faster) > len(rows) / 2 else "Some do"
    return f"{word}: {count}; the largest gain is {best['name']}, which {said(study, best)} on {study.link}."


def best_of_all(studies: Sequence[Study]) -> str:
    study = max(studies, key=lambda study: len(study.others))
    rows = sorted(study.others, key=lambda one: -(primary(one)["speedup"]["ratio"] or 0.0))
    faster = [one for one in rows if primary(one)["verdict"] in FAST]
    undecided = sum(primary(one)["verdict"] == OPEN for one in rows)
    rest = f"{undecided} of {len(rows)} comparisons are open" if undecided else "none of the others is open"
    if not faster:
        leader = f"the fastest in the mean, {rows[0]['name']}, {said(study, rows[0])} on {study.link}"
        return f"Open: {leader}; {rest}."
    first = faster[0]
    if len(faster) == 1 and not undecided:
        return f"{first['name']}: alone of {len(rows)}, it {said(study, first)} on {study.link}."
    others = [one["name"] for one in faster[1:]]
    also = f", {listed(others)} {'is' if len(others) == 1 else 'are'} faster too" if others else ""
    return (
        f"Perhaps {first['name']}: on {study.link} it {said(study, first)}{also}, {rest}, and no test "
        f"compares it with those next to it."
    )


def depends_on_the_rule(studies: Sequence[Study]) -> str:
    turned, changed, compared, examples = 0, 0, 0, []
    for study in studies:
        ends = {one["name"]: one for one in study.summary["end"]["schedules"]}
        for one in study.others:
            signs = [sign(target["verdict"]) for target in one["targets"]]
            signs.append(sign(ends[one["name"]]["verdict"]))
            compared += 1
            turned += {1, -1} <= set(signs)
            changed += len(set(signs)) > 1
            if len(set(signs)) > 1 and sign(primary(one)["verdict"]):
                examples.append((study, one, ends[one["name"]]))
    targets = sum(len(study.summary["targets"]) for study in studies)
    warned = sum(RULES_DISAGREE in warning for study in studies for warning in study.summary["warnings"])
    word = "Yes" if turned else "In part" if changed or warned else "No"
    where = listed([study.link for study in studies])
    count = (
        f"in {changed} of {compared} comparisons of {where} the verdicts at the targets and on the value at "
        f"the end are not the same, {turned} of them opposite, and at {warned} of {targets} targets two "
        f"rules of arrival disagree"
    )
    if not examples:
        return f"{word}: {count}."
    study, one, end = max(examples, key=lambda row: abs_log(primary(row[1])["speedup"]["ratio"]))
    return f"{word}: {count}; on {study.link} {one['name']} {said(study, one)}{elsewhere(study, one, end)}."


def elsewhere(study: Study, schedule: dict[str, Any], end: dict[str, Any]) -> str:
    """Return the same schedule's other verdicts, to follow that at the primary target."""
    parts = []
    for target in schedule["targets"]:
        if not target["primary"]:
            times, limits = speed(target)
            reached = "never" if target["verdict"] == "never" else f"{times} ({limits}, {word_of(target)})"
            parts.append(f"to {study.level(target)} {reached}")
    found = end["difference"]
    moved = (found["mean"], found["low"], found["high"])
    if found["mean"] is not None:
        parts.append(
            f"at the end {change(study.metric, *moved)}{change_unit(study.metric)} "
            f"({change_interval(study.metric, *moved[1:])}, {word_of(end)})"
        )
    return f", {' and '.join(parts)}" if parts else ""


def word_of(comparison: dict[str, Any]) -> str:
    return "open" if comparison["verdict"] == OPEN else str(comparison["verdict"])


def sign(verdict: str) -> int:
    return {"faster": 1, "better": 1, "slower": -1, "never": -1, "worse": -1}.get(verdict, 0)


def abs_log(times: float | None) -> float:
    return 0.0 if not times else max(times, 1 / times)


QUESTIONS: dict[str, Callable[[Sequence[Study]], str]] = {
    "Does the Lipschitz rule need no tuning?": needs_no_tuning,
    "Is cyclic worth it?": cyclic_is_worth_it,
    "Does a tuned schedule beat a tuned fixed rate?": schedules_beat_fixed,
    "Which schedule is the best of all that lrstudy ships?": best_of_all,
    "Does the answer depend on the target, the rule of arrival or the value at the end?": depends_on_the_rule,
}
HEAD = """# Five questions

Made by `python studies/questions.py` from the `summary.json` of the kept reports. Times are counted in epochs
to a study's primary target, reached when three evaluations in a row are there; `fixed` is a tuned fixed rate.
In brackets: the 95% interval over tunings, and the verdict after the correction for several comparisons.
"""


def page(studies: Sequence[Study]) -> str:
    """Return the page: each question with its answer."""
    answers = [f"## {question}\n\n{reply(studies)}\n" for question, reply in QUESTIONS.items()]
    return "\n".join([HEAD, *answers])


def main(arguments: list[str] | None = None) -> int:
    """Write the page; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder of the kept reports")
    parser.add_argument("--out", type=Path, default=Path("reports/questions.md"), help="the page to write")
    given = parser.parse_args(arguments)
    files = [(name, given.reports / name / "summary.json") for name in STUDIES]
    if missing := [str(file) for _, file in files if not file.exists()]:
        print(f"error: {listed(missing)} not found; name the folder with --reports", file=sys.stderr)
        return 2
    read = [Study(name, json.loads(file.read_text(encoding="utf-8"))) for name, file in files]
    studies = [study for study in read if study.summary.get("replicates", 1) > 1]
    given.out.write_text(page(studies), encoding="utf-8")
    print(f"page: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
