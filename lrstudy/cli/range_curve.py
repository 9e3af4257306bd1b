"""A range test's curve as a picture."""

from __future__ import annotations

import math
from pathlib import Path

from lrstudy.cli.pictures import BLUE, ORANGE, save_picture
from lrstudy.engine.range_test import RangeCurve
from lrstudy.rules.range_bounds import Bounds, smooth, window_of


def draw_range(curve: RangeCurve, bounds: Bounds, title: str, path: Path) -> None:
    """Draw the loss over the rate, smoothed and as measured, with the suggested range shaded.

    The validation metric, measured a few times in each epoch, has a panel of its own below.
    """
    from matplotlib.figure import Figure

    # What a rate did shows in the next step's loss.
    finite = [
        (rate, loss) for rate, loss in zip(curve.rates, curve.losses[1:], strict=False) if math.isfinite(loss)
    ]
    rates, losses = [rate for rate, _ in finite], [loss for _, loss in finite]
    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.plot(rates, losses, ".", color="0.72", markersize=3, label="each step")
    if losses:
        start = losses[0]
        smoothed = smooth(losses, window_of(len(losses)), ceiling=start)
        above.plot(rates, smoothed, color=BLUE, label="smoothed")
        # An explosion at the end would squeeze all else into a line.
        bottom, top = min(smoothed), max(start, max(smoothed))
        above.set_ylim(bottom - 0.1 * (top - bottom), top + 0.25 * (top - bottom))
    above.set_xscale("log")
    above.set_ylabel("training loss")
    above.set_title(title, loc="left", fontsize="medium", parse_math=False)
    below.plot([r for r, _ in curve.checks], [v for _, v in curve.checks], "o-", color=BLUE, markersize=3)
    below.set_ylabel(curve.metric.replace("val_", "validation "))
    below.set_xlabel("learning rate")
    for axes in (above, below):
        axes.grid(alpha=0.25)
        if bounds.low is not None and bounds.high is not None:
            axes.axvspan(bounds.low, bounds.high, color=BLUE, alpha=0.12, label="suggested range")
        if bounds.steepest is not None:
            axes.axvline(bounds.steepest, color=ORANGE, linestyle="--", label="steepest fall")
    above.legend(fontsize="small", loc="best")
    save_picture(figure, "--plot", path)
