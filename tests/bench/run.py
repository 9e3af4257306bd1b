"""Every throughput benchmark in one run, as one table of ratios.

    python tests/bench/run.py [--only study,pipeline,lipschitz,scale,report,gpu] [--quick]

Ratios compare two sides of the same run of this script, so that they hold on any machine; run it on one
that does nothing else. Not run by the tests. ``README.md`` next to this file says what each one measures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gpu_speed
import lipschitz_cost
import pipeline
import report_scale
import throughput
import torch
import trials_scale

from lrstudy.spec import load_study


@dataclass(frozen=True)
class Row:
    """One ratio: what it compares, its value, and what is wanted of it."""

    what: str
    value: float
    wanted: str


def study(*, quick: bool) -> Iterator[Row]:
    """(a), (b) and lanes: whole studies, the digits study and one of three times as many trials."""
    few = ["budget.trials=4", "budget.confirm_seeds=2"] if quick else []
    peers = (2, 2) if quick else (12, 24)
    for ratio in throughput.ratios(throughput.measure(load_study(throughput.STUDY, few), *peers)):
        yield Row(*ratio)
    many = few or ["budget.trials=64", "budget.search=random"]
    for ratio in throughput.ratios(throughput.measure_lanes(load_study(throughput.STUDY, many))):
        yield Row(*ratio)


def batches(*, quick: bool) -> Iterator[Row]:
    """(c): images per CPU second; there is no quicker form."""
    yield Row("augmented images per CPU second: pipeline / DataLoader", pipeline.ratio(), "≥ 10")


def lipschitz(*, quick: bool) -> Iterator[Row]:
    """(d): an epoch with each measure over one at a fixed rate."""
    torch.set_num_threads(1)
    for name in lipschitz_cost.NETWORKS:
        found = lipschitz_cost.compare(name, 512 if quick else 2560, 2 if quick else 5, torch.device("cpu"))
        for way, ratio in found.items():
            if way != "fixed":
                yield Row(
                    f"epoch of the {name}: measure {way} / fixed rate",
                    ratio,
                    "≤ 1.1" if way == "hook" else "",
                )


def scale(*, quick: bool) -> Iterator[Row]:
    """(e): a study against its numbers of trials and epochs."""
    few, some, many = (20, 40, 60) if quick else (100, 500, 2000)
    base, memory, _ = trials_scale.apart(few, 1, 0)
    for trials in (some, many):
        seconds, used, files = trials_scale.apart(trials, 1, 0)
        yield Row(f"seconds per trial: {trials} trials / {few} trials", seconds / base, "≤ 1.2")
        yield Row(f"driver's memory: {trials} trials / {few} trials", used / memory, "≤ 1.2")
        yield Row(f"files of {trials} trials", files, "≤ 40")
    short, long = (trials_scale.apart(few, epochs, 0)[0] / epochs for epochs in (10, 100))
    yield Row("seconds per epoch: 100 epochs a trial / 10 epochs a trial", long / short, "≤ 1.2")


def report(*, quick: bool) -> Iterator[Row]:
    """(f): the report against its rows, 200 epochs a trial; each from a cold start."""
    small, large = (250, 500) if quick else (500, 5000)
    rows, seconds, _, _ = report_scale.measure(small, 200)
    more, longer, _, _ = report_scale.measure(large, 200)
    yield Row(f"seconds of a report: {more:,} rows / {rows:,} rows", longer / seconds, f"≤ {more // rows}")


def on_gpu(*, quick: bool) -> Iterator[Row]:
    """(g): epochs of the paper's networks; left out where there is no GPU."""
    if not torch.cuda.is_available():
        print("no GPU: its rows are left out (python tests/bench/gpu.py --device cpu runs the code)")
        return
    for what, ratio, wanted in gpu_speed.ratios(quick=quick):
        yield Row(what, ratio, wanted)


SECTIONS: dict[str, Callable[..., Iterator[Row]]] = {
    "study": study,
    "pipeline": batches,
    "lipschitz": lipschitz,
    "scale": scale,
    "report": report,
    "gpu": on_gpu,
}


def main() -> None:
    """Run the sections asked for; the table comes last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the figures mean nothing")
    given = parser.parse_args()
    rows = [row for name in given.only.split(",") for row in SECTIONS[name](quick=given.quick)]
    width = max((len(row.what) for row in rows), default=0)
    print(f"\n{'ratio of one run':{width}}  value  wanted")
    for row in rows:
        print(f"{row.what:{width}}  {row.value:5.2f}  {row.wanted}")


if __name__ == "__main__":
    main()
