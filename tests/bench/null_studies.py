"""Counts the false verdicts of studies in which no schedule differs from another.

    python tests/bench/null_studies.py --work /tmp/null > tests/bench/null_studies.md

``null_studies.toml`` names one schedule four times: searches of their own, the same splits and confirm seeds,
no true difference. Every "faster", "slower", "better" or "worse" of such a study is false. The studies are
cut from the replicates of long runs (``cut_studies.py``) and judged by the functions that a report calls.
Stores are kept in the work folder; a second call runs only what is missing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cut_studies import Cut, cuts, looked_at

from lrstudy.analysis.end_values import compare_ends, end_questions, ends_of
from lrstudy.analysis.families import END, Comparison, adjusted
from lrstudy.analysis.intervals import wilson
from lrstudy.analysis.judgement import compare, judge
from lrstudy.analysis.study_contest import contest_of

STUDY = Path(__file__).with_suffix(".toml")
RULES = ("first", "stay:3")
FALSE = ("faster", "slower", "better", "worse")


@dataclass(frozen=True)
class Design:
    """How often a study repeats its tuning, and on how many seeds; ``most``: until it is decided."""

    name: str
    replicates: int
    seeds: int
    most: int = 0


DESIGNS = (
    Design("one tuning, 10 seeds", 1, 10),
    Design("2 tunings, 3 seeds each", 2, 3),
    Design("4 tunings, 3 seeds each", 4, 3),
    Design("8 tunings, 3 seeds each", 8, 3),
    Design("until decided, 2 to 8 tunings, 3 seeds each", 2, 3, most=8),
    Design("until decided, 4 to 16 tunings, 3 seeds each", 4, 3, most=16),
)


@dataclass(frozen=True)
class Found:
    """The false verdicts of a study: at its primary target, at any question, at the end were it alone."""

    primary: bool
    anywhere: bool
    end_alone: bool
    end_tests: tuple[float, ...]
    replicates: float


def verdicts_of(cut: Cut) -> Found:
    """Judge a study as its report does."""
    found = contest_of(cut)
    contest = found.contest
    compared = {target: compare(contest, target) for target in found.targets}
    ends = compare_ends(contest)
    p_values = end_questions(contest, ends)
    judgement = judge(contest, compared, {question: p_values.get(question) for question in found.further})
    at_targets = {place: verdict in FALSE for place, verdict in judgement.verdicts.items()}
    return Found(
        any(false for (target, _), false in at_targets.items() if target == contest.primary),
        any(at_targets.values()) or _false_end(cut, contest, ends, judgement.adjusted),
        _false_end(cut, contest, ends, adjusted(p_values, END)),
        tuple(p_value for p_value in p_values.values() if p_value is not None),
        float(np.mean([cut.study.replicates(name) for name in contest.others])),
    )


def _false_end(cut: Cut, contest: Any, ends: Any, p_values: dict[Comparison, float | None] | Any) -> bool:
    said = ends_of(contest, cut.study, ends, {name: p_values.get((END, name)) for name in contest.runs})
    return said is not None and any(value.verdict in FALSE for value in said.values)


def run(work: Path, name: str, seed: int, settings: Sequence[str] = ()) -> Path:
    """Run the study file with a seed unless it has been run; return the store's folder."""
    out = work / name
    if not list(out.glob("*/report/summary.json")):
        options = [word for one in (f"seed={seed}", *settings) for word in ("--set", one)]
        command = [sys.executable, "-m", "lrstudy", "run", str(STUDY), *options, "--out", str(out), "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out / "null"


def rows_of(design: Design, stores: Sequence[Path]) -> Iterator[str]:
    """Yield a row of the table for each rule."""
    every = [cut for store in stores for cut in cuts(store, design.replicates, design.most)]
    for rule in RULES:
        found = [verdicts_of(looked_at(cut, rule)) for cut in every]
        spent = np.mean([one.replicates for one in found])
        yield _row(design, f"`{rule}`, primary target", [one.primary for one in found], spent)
        yield _row(design, f"`{rule}`, all questions", [one.anywhere for one in found], spent)
    tests = [p_value for one in found for p_value in one.end_tests]
    single = f"tests with p ≤ 0.05: {sum(p_value <= 0.05 for p_value in tests)} of {len(tests)}"
    yield _row(design, f"value at the end, alone ({single})", [one.end_alone for one in found], spent)


def _row(design: Design, rule: str, false: Sequence[bool], replicates: Any) -> str:
    count, share = sum(false), wilson(sum(false), len(false))
    row = (
        f"| {design.name} | {rule} | {len(false)} | {replicates:.1f} | {count} "
        f"| {100 * count / len(false):.1f}% ({100 * share.low:.1f}–{100 * share.high:.1f}) |"
    )
    print(row, file=sys.stderr, flush=True)
    return row


def main() -> None:
    """Run what is missing and print the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=2, help="long runs of 160 replicates")
    args = parser.parse_args()
    one = run(args.work, "one-tuning", 100, ("budget.replicates=40", "budget.confirm_seeds=10"))
    several = [run(args.work, f"replicates-{seed}", seed) for seed in range(args.runs)]
    print(HEAD)
    for design in DESIGNS:
        for row in rows_of(design, [one] if design.replicates == 1 else several):
            print(row, flush=True)


HEAD = """# False verdicts of studies without a difference

Made by `python tests/bench/null_studies.py --work FOLDER > tests/bench/null_studies.md`. Real studies: a
small network on digits, one schedule (a fixed rate) under four names, each tuned by searches of its own (8
trials) and compared with the first of them. No difference is true, so every verdict is false.

- **primary target**: studies with any *faster* or *slower* at 95%, which has 4 of the study's 5%.
- **all questions**: studies with any false verdict at 95%, at 93% or in the value at the end: at most 5%.
- **value at the end, alone**: the same for the value after 20 epochs if it were the only question, at 5%.
  With one tuning it is compared over seeds, given the winners: another tuning is not allowed for. In
  brackets the single tests, before Holm over the three schedules.
- `first` and `stay:3` are the rules of arrival by which a study is judged and, where it runs until it is
  decided, looked at.

Wilson's 95% interval in brackets. An error of 5% gives 0 to 5 of 40 studies in 99 of 100 cases. All designs
with 3 seeds are cut from the same replicates: their rows depend on each other.

| design | judged by | studies | replicates of a schedule, mean | with a false verdict | share |
| --- | --- | ---: | ---: | ---: | ---: |"""


if __name__ == "__main__":
    main()
