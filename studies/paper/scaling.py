"""Does 1/L follow the best fixed rate, from small batches to large ones and over scales of the activations?

    python studies/paper/scaling.py [--runs runs/scaling] [--out reports/scaling] [--seed 0]

Purpose:  the rule's rate grows with the root of the batch size and falls with the scale of the last
          activations; here the best fixed rate is looked for at each batch size from 32 to 1,024, and at each
          scale from a tenth to ten, on 8 splits, and the rule's rate is put beside it (report.md, rates.png,
          summary.json)
Data:     10,240 images of Fashion-MNIST: `lrstudy data fetch fashion-mnist`
Hardware: any CPU; about 15 minutes on 2 cores. Studies that are done are not run again; one that was
          begun with another seed or other replicates is refused.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from scipy import stats

import lrstudy

BATCHES = (32, 64, 128, 256, 512, 1024)
SCALES = (0.1, 0.3, 1.0, 3.0, 10.0)
REPLICATES = 8
LEVEL = 0.95
STUDY = """\
name = "{name}"
seed = {seed}

[task]
dataset = "fashion-mnist"
rows = 10240                    # 8,192 of them train: whole batches of every size
model = {{ name = "scaled_mlp:ScaledMLP", scale = {scale} }}
loss = "cross-entropy"
optimizer = {{ name = "sgd", lr = 0.1 }}
batch_size = {batch}
epochs = 5

[budget]
replicates = {replicates}
trials = 16
confirm_seeds = 1
search = "tpe"
objective = "mean"              # of the validation loss: the whole of the training counts, not one epoch

[target]
metric = "val_loss"
reference = "fixed"

[schedules.fixed]
lr = {{ low = {low}, high = {high}, log = true }}

[schedules.lipschitz]
measure = "subset"              # before the first epoch too

[resources]
cpus = 1
"""


@dataclass(frozen=True)
class Point:
    """One batch size or scale: the best fixed rates and the rule's mean rates, one of each per replicate.

    ``losses`` are the mean validation losses of the best fixed rate and of the rule, medians over the
    replicates; that of a training that diverged is infinite. ``edge`` counts the best rates at an end of the
    searched range, ``diverged`` the trainings of the rule that diverged.
    """

    x: float
    best: tuple[float, ...]
    rule: tuple[float, ...]
    losses: tuple[float, float]
    edge: int
    diverged: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, and write the report; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/scaling"))
    parser.add_argument("--out", type=Path, default=Path("reports/scaling"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replicates", type=int, default=REPLICATES)
    given = parser.parse_args(arguments)
    sweeps = {"batch": BATCHES, "scale": SCALES}
    found: dict[str, list[Point]] = {}
    for sweep, values in sweeps.items():
        found[sweep] = [_point(sweep, x, given.runs, given.seed, given.replicates) for x in values]
    given.out.mkdir(parents=True, exist_ok=True)
    numbers = {sweep: summary(points) for sweep, points in found.items()}
    text = json.dumps({"replicates": given.replicates, **numbers}, indent=2) + "\n"
    (given.out / "summary.json").write_text(text, encoding="utf-8")
    (given.out / "report.md").write_text(report(numbers, given.replicates), encoding="utf-8")
    draw(found, given.out / "rates.png")
    print(f"report: {given.out / 'report.md'}")
    return 0


def _point(sweep: str, x: float, runs: Path, seed: int, replicates: int) -> Point:
    """Run one study, if it is not done, and read its rates."""
    name = f"scaling-{sweep}-{x:g}"
    batch, scale = (int(x), 1.0) if sweep == "batch" else (128, x)
    # A head divided by the scale moves scale² as fast for the same rate: the range moves along.
    low, high = 0.003 / max(1.0, scale), 30.0 / min(1.0, scale)
    runs.mkdir(parents=True, exist_ok=True)
    file = runs / f"{name}.toml"
    file.write_text(
        STUDY.format(
            name=name, seed=seed, scale=scale, batch=batch, low=low, high=high, replicates=replicates
        ),
        encoding="utf-8",
    )
    module = Path(__file__).with_name("scaled_mlp.py").read_text(encoding="utf-8")
    (runs / "scaled_mlp.py").write_text(module, encoding="utf-8")
    # It continues a study that is not done, and refuses one that was begun with other settings.
    command = [sys.executable, "-m", "lrstudy", "run", str(file), "--out", str(runs)]
    subprocess.run(command, check=True)  # noqa: S603 - its own command
    return _read(x, runs / name, (low, high))


def _read(x: float, place: Path, span: tuple[float, float]) -> Point:
    store = lrstudy.open_store(place)
    trials = store.trials().to_pandas()
    rows = store.evaluations().to_pandas()
    mean_loss = rows.groupby("trial_id").val_loss.mean()
    mean_rate = rows.groupby("trial_id").lr.mean()
    diverged = trials.trial_id[trials.status == "diverged"]
    mean_loss[mean_loss.index.isin(diverged)] = math.inf  # those before the explosion are no loss of it
    best, rule, losses, edge, lost = [], [], [], 0, 0
    for _, here in trials[trials.phase == "tune"].groupby("replicate"):
        fixed = here[(here.schedule == "fixed") & (here.status == "completed")]
        winner = mean_loss[fixed.trial_id].idxmin()
        own = here[here.schedule == "lipschitz"].trial_id.iloc[0]
        best.append(float(mean_rate[winner]))
        rule.append(float(mean_rate[own]))
        losses.append((float(mean_loss[winner]), float(mean_loss[own])))
        edge += not 1.2 * span[0] < best[-1] < span[1] / 1.2
        lost += math.isinf(losses[-1][1])
    middle = np.median(np.array(losses), axis=0)
    return Point(x, tuple(best), tuple(rule), (float(middle[0]), float(middle[1])), edge, lost)


def summary(points: Sequence[Point]) -> dict[str, Any]:
    """Return the medians at each x, and the slopes of both rates on logarithmic axes, with intervals."""
    return {
        "points": [
            {
                "x": point.x,
                "best_fixed": float(np.median(point.best)),
                "best_fixed_range": [min(point.best), max(point.best)],
                "rule": float(np.median(point.rule)),
                "rule_over_best": _geometric(np.array(point.rule) / np.array(point.best)),
                "val_loss_best_fixed": _finite(point.losses[0]),
                "val_loss_rule": _finite(point.losses[1]),
                "rule_diverged": point.diverged,
                "at_an_edge": point.edge,
            }
            for point in points
        ],
        "slope_best_fixed": _interval(_slopes(points, "best")),
        "slope_rule": _interval(_slopes(points, "rule")),
        "slope_rule_less_best": _interval(_slopes(points, "rule") - _slopes(points, "best")),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _geometric(ratios: np.ndarray) -> list[float]:
    """Return the geometric mean of the replicates' ratios and its 95% interval (t on logarithms)."""
    return [math.exp(value) for value in _interval(np.log(ratios))]


def _slopes(points: Sequence[Point], which: str) -> np.ndarray:
    """Return the slope of log rate in log x of each replicate, which is one straight line."""
    x = np.log([point.x for point in points])
    y = np.log(np.array([getattr(point, which) for point in points]))  # (points, replicates)
    return np.array([stats.linregress(x, column).slope for column in y.T])


def _interval(values: np.ndarray) -> list[float]:
    """Return the mean over the replicates and its 95% interval (t)."""
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return [float(values.mean() + shift) for shift in (0.0, -half, half)]


def report(numbers: dict[str, Any], replicates: int) -> str:
    """Return the page: a sentence and a table for each sweep."""
    sentences = (_sentence("batch size", numbers["batch"]), _sentence("activations' scale", numbers["scale"]))
    setting = (
        "10,240 images of Fashion-MNIST, 64 units with batch-norm before the head, 5 epochs of plain SGD. The"
        " best fixed rate is the winner of 16 trials of a search for the smallest mean validation loss, on"
        f" {replicates} splits of the data; the rule's is its mean over the epochs, with nothing tuned,"
        " measured before every epoch on a tenth of the batches. Intervals are 95%, over splits.\n"
    )
    parts = ["# Does 1/L follow the best fixed rate?\n", " ".join(sentences) + "\n", setting]
    for sweep, title in (("batch", "batch size"), ("scale", "scale")):
        parts.append(_table(title, numbers[sweep]))
    parts.append("![Rates by batch size and by scale](rates.png)\n")
    parts.append(
        "A scale multiplies the last activations and divides the head's weights, so that the network computes"
        " the same at the start.\n\n---\n\nMade by `python studies/paper/scaling.py`.\n"
    )
    return "\n".join(parts)


def _sentence(what: str, numbers: dict[str, Any]) -> str:
    best, rule = numbers["slope_best_fixed"], numbers["slope_rule"]
    # Both rates of a replicate are of one split: the difference of their slopes is its own.
    _, low, high = numbers["slope_rule_less_best"]
    verdict = "is not seen to differ" if low <= 0 <= high else "does not follow it"
    return (
        f"**With the {what} x the best fixed rate goes as x^{best[0]:.2f} ({best[1]:.2f} to {best[2]:.2f}),"
        f" the rule's as x^{rule[0]:.2f} ({rule[1]:.2f} to {rule[2]:.2f}): it {verdict}.**"
    )


def _table(title: str, numbers: dict[str, Any]) -> str:
    columns = "best fixed rate (range) | the rule's rate | rule / best (95%) | loss, best fixed | loss, rule"
    lines = [f"| {title} | {columns} |", "| --: | --: | --: | --: | --: | --: |"]
    for point in numbers["points"]:
        low, high = point["best_fixed_range"]
        times, least, most = point["rule_over_best"]
        lines.append(
            f"| {point['x']:g} | {point['best_fixed']:.3g} ({low:.2g}–{high:.2g}) | {point['rule']:.3g} |"
            f" {times:.2g} ({least:.2g}–{most:.2g}) | {_loss(point['val_loss_best_fixed'])} |"
            f" {_loss(point['val_loss_rule'], point['rule_diverged'])} |"
        )
    edges = sum(point["at_an_edge"] for point in numbers["points"])
    note = f"\nAt an end of the searched range: {edges} of the best fixed rates.\n" if edges else ""
    return "\n".join(lines) + "\n" + note


def _loss(value: float | None, diverged: int = 0) -> str:
    text = "–" if value is None else f"{value:.3f}"
    return f"{text} ({diverged} diverged)" if diverged else text


def draw(found: dict[str, list[Point]], path: Path) -> None:
    """Draw both rates over both sweeps: every replicate pale, the medians as lines."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    labels = {"batch": "batch size", "scale": "scale of the activations"}
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    for panel, (sweep, points) in zip(panels, found.items(), strict=True):
        x = [point.x for point in points]
        for which, colour, label in (
            ("best", "#0072b2", "best fixed rate"),
            ("rule", "#d55e00", "1/L, mean"),
        ):
            rates = np.array([getattr(point, which) for point in points])
            panel.plot(x, rates, ".", color=colour, alpha=0.35)
            panel.plot(x, np.median(rates, axis=1), "-", color=colour, label=label)
        panel.set(xscale="log", yscale="log", xlabel=labels[sweep])
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("learning rate")
    panels[0].legend(frameon=False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
