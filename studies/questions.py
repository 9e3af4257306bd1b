"""Five questions about learning-rate schedules, each answered in a sentence from the kept reports.

    python studies/questions.py [--reports reports] [--out reports/questions.md]

Purpose:  what the kept studies say, worded from their numbers: other numbers give another sentence
Data:     summary.json of the reports of digits, all-schedules and fashion-mnist-small; one with a single
          tuning of each schedule is left out
Hardware: any; a second on one core
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kept_reports import (
    FAST,
    LIPSCHITZ,
    OPEN,
    SLOW,
    Study,
    answer,
    on,
    primary,
    read_study,
    said,
    speed,
    with_schedule,
    word_of,
)

from lrstudy.analysis.rule_disagreements import RULES_DISAGREE
from lrstudy.report.change_text import change, change_interval, change_unit
from lrstudy.report.text import listed

STUDIES = ("digits", "fashion-mnist-small", "all-schedules")


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
to a study's primary target, a validation accuracy, reached when three evaluations in a row are there; `fixed`
is a tuned fixed rate.
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
    read = {name: read_study(given.reports, name) for name in STUDIES}
    if missing := [
        str(given.reports / name / "summary.json") for name, study in read.items() if study is None
    ]:
        print(f"error: {listed(missing)} not found; name the folder with --reports", file=sys.stderr)
        return 2
    studies = [study for study in read.values() if study and study.summary.get("replicates", 1) > 1]
    given.out.write_text(page(studies), encoding="utf-8")
    print(f"page: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
