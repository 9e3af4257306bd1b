"""Repeats whole studies with other seeds, and counts how often their verdicts hold.

    python tests/bench/replication.py studies/digits.toml --studies 30 --work /tmp/replication
    python tests/bench/replication.py studies/examples/spirals.toml --cut --old --work /tmp/spirals

Each repetition is the study file as a user runs it, with another seed: its own splits, tunings and confirm
runs. The consensus on a schedule is the geometric mean of its speedups over the repetitions. The same
repetitions with one tuning for each schedule, the design of earlier versions, are beside them (``--old``).
``--cut`` takes the repetitions from the replicates of long runs (``cut_studies.py``), ten from each, without
a start and an end for every one. Stores are kept in the work folder: a second call adds the repetitions that
are missing.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cut_studies import cuts, looked_at
from scipy import stats

from lrstudy.analysis import analyse
from lrstudy.spec import load_study

# One tuning for the best value, 10 seeds for its winner, whole runs, the first touch of a target.
ONE_TUNING = (
    "budget.trials=16",
    "budget.confirm_seeds=10",
    "budget.objective=best",
    "budget.stop=never",
    "budget.common_seed=false",
    "target.arrival=first",
)
TOGETHER = 10  # repetitions that are cut from one long run
FAR = 1.2  # a consensus beyond this ratio, either way, should be decided


@dataclass(frozen=True)
class Repetition:
    """What one repetition says about one schedule at one target."""

    schedule: str
    target: float
    primary: bool
    speedup: float
    low: float
    high: float
    verdict: str
    replicates: int


@dataclass(frozen=True)
class Study:
    """One repetition: its statements, the wall time and the epochs of a searched schedule."""

    statements: tuple[Repetition, ...]
    seconds: float | None
    epochs: float


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--first", type=int, default=1000, help="the seed of the first repetition")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--old", action="store_true", help="repeat the design of earlier versions too")
    parser.add_argument("--cut", action="store_true", help="cut the repetitions from long runs")
    parser.add_argument("--set", action="append", default=[], help="as in lrstudy run")
    args = parser.parse_args()
    designs = {"study file": tuple(args.set)}
    if args.old:
        designs["one tuning"] = (*args.set, *ONE_TUNING)
    for design, settings in designs.items():
        folder = args.work / design.replace(" ", "-")
        study = args.study if design == "study file" else one_tuning_of(args.study, folder)
        if args.cut:
            studies = list(cut(study, args.studies, args.first, folder, settings))
        else:
            studies = [run(study, args.first + i, folder, settings) for i in range(args.studies)]
        print(f"\n## {args.study.stem}, {design}: {len(studies)} repetitions\n")
        for line in table(studies):
            print(line)


def one_tuning_of(study: Path, folder: Path) -> Path:
    """Write the study file without its number of replicates, beside the modules that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    for module in study.parent.glob("*.py"):
        shutil.copy(module, folder)
    lines = study.read_text().splitlines()
    kept = [line for line in lines if not re.match(r"(replicates|until|most)\s*=", line)]
    (folder / study.name).write_text("\n".join(kept))
    return folder / study.name


def run(study: Path, seed: int, folder: Path, settings: tuple[str, ...]) -> Study:
    """Run one repetition unless its report is there already; return what it says."""
    out = folder / str(seed)
    timing = _run(study, out, (f"seed={seed}", *settings))
    (summary,) = out.glob("reports/*/summary.json")
    said, epochs = statements(json.loads(summary.read_text()))
    return Study(said, float(timing.read_text()), epochs)


def cut(study: Path, number: int, seed: int, folder: Path, settings: tuple[str, ...]) -> Iterator[Study]:
    """Run the replicates of ten repetitions at once unless they are there already; yield what each says."""
    budget = load_study(study, list(settings)).budget
    most = budget.most or 0
    longest = TOGETHER * max(most, budget.replicates)
    whole = (f"budget.replicates={longest}", "budget.until=decided", f"budget.most={longest}")
    for place in range(-(-number // TOGETHER)):
        out = folder / f"{seed + place}-long"
        _run(study, out, (f"seed={seed + place}", *settings, *whole))
        (store,) = (path.parent for path in out.glob("*/study.json"))
        for one in cuts(store, budget.replicates, most if most > budget.replicates else 0):
            said, epochs = statements(json.loads(analyse(looked_at(one)).to_json()))
            yield Study(said, None, epochs)


def _run(study: Path, out: Path, settings: tuple[str, ...]) -> Path:
    """Run a study unless it is finished; return the file with the seconds that it took."""
    timing = out / "seconds.json"
    if not timing.exists():
        options = [word for one in settings for word in ("--set", one)]
        command = [sys.executable, "-m", "lrstudy", "run", str(study), *options]
        command += ["--out", str(out), "--reports", str(out / "reports"), "--quiet"]
        started = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        timing.write_text(json.dumps(time.monotonic() - started))
    return timing


def statements(summary: dict[str, Any]) -> tuple[tuple[Repetition, ...], float]:
    """Read a summary: the statements on each schedule and target, and a searched schedule's mean epochs."""
    found = []
    spent = [one["cost"]["tune_epochs"] + one["cost"]["confirm_epochs"] for one in summary["schedules"]]
    for schedule in summary["schedules"]:
        for reach in schedule["targets"]:
            speedup = reach["speedup_over_tunings"]
            if schedule["name"] == summary["reference"] or speedup["ratio"] is None:
                continue
            found.append(
                Repetition(
                    schedule["name"],
                    reach["target"],
                    bool(reach.get("primary", True)),
                    speedup["ratio"],
                    speedup["low"] or 0.0,
                    speedup["high"] or math.inf,
                    reach["verdict"],
                    reach.get("replicates") or 1,
                )
            )
    return tuple(found), float(np.median(spent))


def table(studies: list[Study]) -> Iterator[str]:
    """Yield a row per schedule and target, and the totals."""
    asked = sorted({(one.target, one.schedule) for study in studies for one in study.statements})
    yield (
        "| target | schedule | consensus | replicates | faster, slower, equivalent, open | contradicted "
        "| covers | rms of log |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    totals: dict[bool, list[float]] = {True: [0, 0, 0, 0, 0, 0], False: [0, 0, 0, 0, 0, 0]}
    for target, schedule in asked:
        said = [
            one
            for study in studies
            for one in study.statements
            if (one.target, one.schedule) == (target, schedule)
        ]
        logs = np.log([one.speedup for one in said])
        centre = float(logs.mean())
        half = float(stats.sem(logs) * stats.t.ppf(0.975, len(logs) - 1)) if len(logs) > 1 else math.inf
        counts = [sum(one.verdict == word for one in said) for word in ("faster", "slower", "equivalent")]
        wrong = sum(_contradicted(one.verdict, centre) for one in said)
        covers = sum(one.low <= math.exp(centre) <= one.high for one in said)
        error = float(np.sqrt(np.mean((logs - centre) ** 2)))
        far = abs(centre) > math.log(FAR)
        right = counts[0] if centre > 0 else counts[1]
        add = (len(said), covers, wrong, far * len(said), far * right, error)
        totals[said[0].primary] = [a + b for a, b in zip(totals[said[0].primary], add, strict=True)]
        interval = f"{math.exp(centre - half):.2f}–{math.exp(centre + half):.2f}"
        kinds = ", ".join(map(str, [*counts, len(said) - sum(counts)]))
        yield (
            f"| {target:g} | {schedule} | {math.exp(centre):.2f} ({interval}) "
            f"| {np.mean([one.replicates for one in said]):.0f} | {kinds} | {wrong} "
            f"| {100 * covers / len(said):.0f}% | {error:.2f} |"
        )
    yield ""
    for primary, (count, covers, wrong, far, right, _) in totals.items():
        if count:
            decided = f"{100 * right / far:.0f}% of {far:.0f}" if far else "none"
            yield (
                f"{'primary' if primary else 'other'} targets: decided rightly where the consensus is beyond "
                f"{FAR}: {decided}; contradicted {100 * wrong / count:.1f}% of {count:.0f}; "
                f"intervals hold the consensus in {100 * covers / count:.0f}%"
            )
    seconds = [study.seconds for study in studies if study.seconds is not None]
    wall = f"wall: median {np.median(seconds):.0f} s, longest {max(seconds):.0f} s; " if seconds else ""
    yield f"{wall}epochs of the median schedule: {np.mean([study.epochs for study in studies]):,.0f}"


def _contradicted(verdict: str, centre: float) -> bool:
    """Return True if a verdict names another direction than the consensus."""
    return (verdict == "faster" and centre < 0) or (verdict == "slower" and centre > 0)


if __name__ == "__main__":
    main()
