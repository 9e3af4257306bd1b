"""Every throughput benchmark in one run, as one table of ratios.

    python tests/bench/run.py [--only study,pipeline,lipschitz,gpu] [--quick]

Ratios compare two sides of the same run of this script, so that they hold on any machine; run it on one
that does nothing else. Not run by the tests. ``README.md`` next to this file says what each one measures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gpu
import lipschitz_cost
import pipeline
import throughput
import torch

from lrstudy.spec import load_study


@dataclass(frozen=True)
class Row:
    """One ratio: what it compares, its value, and what is wanted of it."""

    what: str
    value: float
    wanted: str


def study(*, quick: bool) -> Iterator[Row]:
    """(a) and (b): whole studies."""
    few = ["budget.trials=4", "budget.confirm_seeds=2"] if quick else []
    peers = (2, 2) if quick else (12, 24)
    costs = throughput.measure(load_study(throughput.STUDY, few), *peers)
    ours, lanes, plain, loop = costs["lrstudy"], costs["lanes"], costs["Ray Tune"], costs["loop"]
    yield Row(
        "trials per minute: lrstudy / Ray Tune as in its tutorial", ours.per_minute / plain.per_minute, "≥ 20"
    )
    yield Row("the same, lrstudy in 16 lanes", lanes.per_minute / plain.per_minute, "≥ 20")
    yield Row("CPU per trial: lrstudy / loop without Ray", ours.cpu_per_trial / loop.cpu_per_trial, "≤ 1.5")
    yield Row("trials per minute: 16 lanes / no lanes", lanes.per_minute / ours.per_minute, "≥ 5")
    yield Row("CPU per trial: no lanes / 16 lanes", ours.cpu_per_trial / lanes.cpu_per_trial, "")


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


def on_gpu(*, quick: bool) -> Iterator[Row]:
    """(g): epochs of the paper's networks; left out where there is no GPU."""
    if not torch.cuda.is_available():
        print("no GPU: its rows are left out (python tests/bench/gpu.py --device cpu runs the code)")
        return
    for what, ratio, wanted in gpu.ratios(quick=quick):
        yield Row(what, ratio, wanted)


SECTIONS: dict[str, Callable[..., Iterator[Row]]] = {
    "study": study,
    "pipeline": batches,
    "lipschitz": lipschitz,
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
