"""Does recomputing the rate matter, and what else does: every combination of the rule's parts on one task.

    python studies/paper/factors.py [--runs runs/factors] [--out reports/factors] [--tasks digits]

Purpose:  {1/L of the paper, its valid bound, the last layer's smoothness, 1/λmax of the network, a constant
          equal to the rule's mean} × {no decay, Keras's, cosine} × {measured on a pass, on the training
          steps} × {torch's loss, the clipped one}: 54 schedules (a constant measures nothing), none of them
          tuned, on 8 splits with 2 seeds each. For each part: how much faster to the target than without it,
          the other parts alike (report.md, summary.json)
Data:     scikit-learn's digits: nothing to download
Hardware: any CPU; 10 minutes on 2 cores. Studies that are done are not run again; one that was
          begun with another seed or other replicates is refused.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import lrstudy

BOUNDS = ("paper", "valid", "smoothness", "network", "constant")
DECAYS = ("none", "keras", "cosine")
MEASURES = ("hook", "pass")
LOSSES = ("torch", "clipped")
FACTORS = {"bound": BOUNDS, "decay": DECAYS, "measure": MEASURES, "loss": LOSSES}
EPOCHS, TARGET, REPLICATES = 20, 0.95, 8
# The rule's mean rate on each task, in a pilot with another seed.
TASKS = {"digits": ('batch_norm = "last"', 0.84), "digits-plain": ('batch_norm = "none"', 2.4)}
Combination = tuple[str, str, str, str]


def combinations() -> Iterator[Combination]:
    """Yield every combination; a constant rate is measured by nothing."""
    for found in itertools.product(BOUNDS, DECAYS, MEASURES, LOSSES):
        if found[0] != "constant" or found[2] == "hook":
            yield found


def name_of(combination: Combination) -> str:
    return "-".join(combination)


def study(task: str, seed: int, replicates: int) -> str:
    """Return the study file of a task."""
    norm, mean = TASKS[task]
    head = f"""\
name = "factors-{task}"
seed = {seed}

[task]
dataset = "digits"
model = {{ name = "mlp", widths = [32], {norm} }}
loss = "cross-entropy"
optimizer = {{ name = "sgd", lr = 0.1 }}
batch_size = 32
epochs = {EPOCHS}

[budget]
replicates = {replicates}
trials = 1
confirm_seeds = 1
stop = "never"

[target]
metric = "val_accuracy"
values = [{TARGET}]
arrival = "first"
reference = "paper-none-hook-torch"
"""
    parts = [head]
    for combination in combinations():
        bound, decay, measure, loss = combination
        lines = [f"[schedules.{name_of(combination)}]"]
        if bound == "constant":
            kinds = {"none": "fixed", "keras": "inverse-time", "cosine": "cosine"}
            lines += [f'kind = "{kinds[decay]}"', f"lr = {mean}"]
            steps = EPOCHS * math.ceil(1150 / 32)
            lines += [f"decay = {117.3 / steps:.5f}"] if decay == "keras" else []
        else:
            lines += [
                'kind = "lipschitz"',
                f'bound = "{bound}"',
                f'measure = "{measure}"',
                f'anneal = "{decay}"',
            ]
        lines += ['loss = "clipped-cross-entropy"'] if loss == "clipped" else []
        parts.append("\n".join(lines) + "\n")
    parts.append("[resources]\ncpus = 1\n")
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, and write the report; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/factors"))
    parser.add_argument("--out", type=Path, default=Path("reports/factors"))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replicates", type=int, default=REPLICATES)
    given = parser.parse_args(arguments)
    numbers = {}
    for task in given.tasks.split(","):
        place = given.runs / f"factors-{task}"
        given.runs.mkdir(parents=True, exist_ok=True)
        file = given.runs / f"factors-{task}.toml"
        file.write_text(study(task, given.seed, given.replicates), encoding="utf-8")
        # It continues a study that is not done, and refuses one that was begun with other settings.
        command = [sys.executable, "-m", "lrstudy", "run", str(file), "--out", str(given.runs)]
        subprocess.run(command, check=True)  # noqa: S603 - its own command
        numbers[task] = effects(place)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "summary.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    (given.out / "report.md").write_text(report(numbers), encoding="utf-8")
    print(f"report: {given.out / 'report.md'}")
    return 0


def effects(place: Path) -> dict[str, Any]:
    """Return each level's effect, and what became of every combination's runs."""
    store = lrstudy.open_store(place)
    trials = store.trials().to_pandas()
    trials = trials[trials.status != "failed"].copy()  # an error says nothing of the rate
    rows = store.evaluations().to_pandas()
    there = rows[rows.val_accuracy >= TARGET].groupby("trial_id").epoch.min()
    # A run that never gets there counts as one epoch beyond the last: slower than any that does.
    trials["time"] = trials.trial_id.map(there).fillna(EPOCHS + 1.0)
    logs = trials.assign(log=np.log(trials.time)).groupby(["schedule", "replicate"]).log.mean()
    found: dict[str, Any] = {
        "replicates": int(trials.replicate.nunique()),
        "effects": {},
        "combinations": {},
    }
    for place_of, (factor, levels) in enumerate(FACTORS.items()):
        found["effects"][factor] = {level: _effect(logs, place_of, levels[0], level) for level in levels[1:]}
    for combination in combinations():
        own = trials[trials.schedule == name_of(combination)]
        found["combinations"][name_of(combination)] = {
            "runs": len(own),
            "hits": int((own.time <= EPOCHS).sum()),
            "diverged": int((own.status == "diverged").sum()),
            "median_epochs": float(own.time.median()),
        }
    return found


def _effect(logs: Any, place: int, base: str, level: str) -> dict[str, float]:
    """Return how many times as fast a level is as the first, with a 95% interval over the replicates.

    Each combination with the level is paired with that which has the first level and is alike in the rest.
    """
    pairs = []
    for combination in combinations():
        other = (*combination[:place], base, *combination[place + 1 :])
        if combination[place] == level and other in set(combinations()):
            pairs.append(logs[name_of(other)] - logs[name_of(combination)])
    per_replicate = pd.concat(pairs, axis=1).mean(axis=1).to_numpy()
    half = (
        stats.t.ppf(0.975, len(per_replicate) - 1) * per_replicate.std(ddof=1) / math.sqrt(len(per_replicate))
    )
    middle = per_replicate.mean()
    return {"ratio": math.exp(middle), "low": math.exp(middle - half), "high": math.exp(middle + half)}


def report(numbers: dict[str, Any]) -> str:
    """Return the page: the effects of each part, and every combination."""
    splits = min(each["replicates"] for each in numbers.values())
    setting = (
        "Times as fast to 95% on scikit-learn's digits (64-32-10, batches of 32, 20 epochs) as with the first"
        f" level of each part, all other parts alike; 95% intervals over {splits} splits. A run that never"
        " gets there counts as one epoch more than the training has.\n"
    )
    parts = [
        "# Which part of the rule matters\n",
        _sentence(numbers),
        setting,
        _effects_table(numbers),
        _combinations_table(numbers),
        "---\n\nMade by `python studies/paper/factors.py`.\n",
    ]
    return "\n".join(parts)


def _sentence(numbers: dict[str, Any]) -> str:
    """Return which parts help or harm on every task, and what recomputing the rate does."""
    told: dict[str, list[str]] = {"faster": [], "slower": []}
    for factor, levels in FACTORS.items():
        for level in levels[1:]:
            found = [each["effects"][factor][level] for each in numbers.values()]
            name = f"{factor} {level}"
            if all(one["low"] > 1 for one in found):
                told["faster"].append(name)
            elif all(one["high"] < 1 for one in found):
                told["slower"].append(name)
    parts = [f"{word} on each task: {', '.join(names) or 'none'}" for word, names in told.items()]
    constant = [
        f"{one['ratio']:.2f} times as fast on {task} ({one['low']:.2f}–{one['high']:.2f})"
        for task, one in ((task, each["effects"]["bound"]["constant"]) for task, each in numbers.items())
    ]
    recomputing = f"A constant at the rule's mean rate is {' and '.join(constant)}"
    return f"**{recomputing}. Of the parts, {'; '.join(parts)}.**\n"


def _effects_table(numbers: dict[str, Any]) -> str:
    lines = [f"| part | {' | '.join(numbers)} |", "| :-- |" + " --: |" * len(numbers)]
    for factor, levels in FACTORS.items():
        for level in levels[1:]:
            cells = []
            for each in numbers.values():
                one = each["effects"][factor][level]
                cells.append(f"{one['ratio']:.2f} ({one['low']:.2f}–{one['high']:.2f})")
            lines.append(f"| {factor}: {level} instead of {levels[0]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _combinations_table(numbers: dict[str, Any]) -> str:
    lines = [
        "Median epochs to the target, and of the runs those that reached it (and those that diverged):\n",
        f"| combination | {' | '.join(numbers)} |",
        "| :-- |" + " --: |" * len(numbers),
    ]
    for combination in combinations():
        cells = []
        for each in numbers.values():
            one = each["combinations"][name_of(combination)]
            median = f"{one['median_epochs']:.3g}" if one["median_epochs"] <= EPOCHS else "–"
            diverged = f", {one['diverged']} diverged" if one["diverged"] else ""
            cells.append(f"{median} ({one['hits']}/{one['runs']}{diverged})")
        lines.append(f"| {', '.join(combination)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
