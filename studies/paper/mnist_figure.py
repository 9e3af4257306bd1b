"""The paper's MNIST run drawn beside ours: the rate and Kz by epoch, every seed.

    python studies/paper/mnist_figure.py [RUN] [--out reports/paper-mnist-sgd/figures/beside-the-paper.png]

Purpose:  figures 1 and 2 of the paper again, with the authors' recorded rates in them
Data:     the store of studies/paper/mnist-sgd.toml, run before
Hardware: any; a second
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lrstudy
from lrstudy.report.figures.model import Axis, Figure, Line, Panel, static
from lrstudy.report.matplotlib_renderer import draw_png
from lrstudy.report.style import looks

# The rates that the authors' notebook (MNIST/MNIST.ipynb) logged for plain SGD, epochs 1 to 20.
RECORDED = (
    *(2.624, 2.221, 2.952, 2.505, 2.387, 2.104, 2.413, 2.037, 2.450, 2.246),
    *(2.186, 2.346, 2.352, 2.186, 1.933, 2.239, 2.292, 2.397, 2.401, 2.338),
)
CLASSES, BATCH = 10, 256
NAMES = ("recorded by the authors", "lrstudy, as coded")


def kz_of(rate: float) -> float:
    """Return Kz behind a rate of plain SGD: 1/L with L = (k − 1)/(k·m)·Kz."""
    return CLASSES * BATCH / (CLASSES - 1) / rate


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the figure; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="?", default="runs/paper-mnist-sgd", help="folder of the store")
    parser.add_argument(
        "--out", type=Path, default=Path("reports/paper-mnist-sgd/figures/beside-the-paper.png")
    )
    given = parser.parse_args(arguments)
    rows = lrstudy.open_store(given.run).evaluations().to_pandas()
    rows = rows[(rows.schedule == "adaptive") & rows.kz.notna()].sort_values("epoch")
    ours = [(run.epoch.to_list(), run.lr.to_list(), run.kz.to_list()) for _, run in rows.groupby("trial_id")]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_bytes(draw_png(figure(ours), NAMES, looks(NAMES, NAMES[0])))
    print(f"figure: {given.out}")
    return 0


def figure(ours: Sequence[tuple[list[float], list[float], list[float]]]) -> Figure:
    """Return the figure of all runs; one is its epochs, rates and Kz."""
    epochs = [float(epoch) for epoch in range(1, len(RECORDED) + 1)]
    panels = []
    for title, recorded, place in (
        ("learning rate 1/L", list(RECORDED), 1),
        ("Kz", [kz_of(rate) for rate in RECORDED], 2),
    ):
        lines: list[Any] = [
            Line(1, NAMES[1], static([float(epoch) for epoch in run[0]], run[place])) for run in ours
        ]
        lines.append(Line(0, NAMES[0], static(epochs, recorded)))
        panels.append(Panel(title, Axis("epoch"), Axis(title, log=True), tuple(lines)))
    return Figure("beside-the-paper", "", "", "", tuple(panels))


if __name__ == "__main__":
    sys.exit(main())
