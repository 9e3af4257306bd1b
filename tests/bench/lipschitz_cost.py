"""What measuring the Lipschitz constant costs: an epoch with each measure over an epoch at a fixed rate.

Run: python tests/bench/lipschitz_cost.py [--threads N] [--repeats N] [--device cuda] [--images N]
     [--only NETWORK]

All ways are timed in turn within one run, a tenth of an epoch at a time, so that a busy machine slows
them alike; an epoch's time holds the training steps and the scheduler's step. Printed: the median, over
the repeats, of the ratio to the fixed rate's epoch of the same round, its range, and the epoch's seconds.
The networks are the paper's MNIST CNN (batch 256) and a 784-128-10 MLP with batch-norm (batch 128), on
random images of Fashion-MNIST's shape, for values do not change the time. On a CPU the clock is this
process's CPU time, which other work on the machine disturbs least; on an accelerator it is wall time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lrstudy import LipschitzLR
from lrstudy.spec.models import ComponentSpec
from lrstudy.tasks import build_model


def paper_cnn() -> nn.Module:
    """The paper's MNIST network."""
    return build_model(ComponentSpec(name="paper-cnn", options={}), (1, 28, 28), 10, 0)


WAYS = {"fixed": None, "hook": {}, "subset 10%": {"fraction": 0.1}, "pass": {}}
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    # name: (model, batch size, the share of --images that an epoch of it takes)
    "paper CNN": (paper_cnn, 256, 1),
    "MLP": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.BatchNorm1d(128), nn.Linear(128, 10)
        ),
        128,
        12,
    ),
}


class Runner:
    """One network, trained one way, an epoch at a time."""

    def __init__(self, way: str, make: Callable[[], nn.Module], batches: list[tuple[Tensor, Tensor]]) -> None:
        torch.manual_seed(0)
        self.model = make().to(batches[0][0].device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        options = WAYS[way]
        self.scheduler = None
        if options is not None:
            # The limit keeps every way on the same rate: a diverging network would compute on NaNs.
            self.scheduler = LipschitzLR(
                self.optimizer, self.model, measure=way.split()[0], batches=batches, max_lr=0.01, **options
            )

    def train(self, batches: list[tuple[Tensor, Tensor]], *, last: bool) -> float:
        """Seconds of some of an epoch's steps; with the last ones goes the scheduler's step."""
        self.model.train()
        clock = time.process_time if batches[0][0].device.type == "cpu" else time.perf_counter
        started = clock()
        total = torch.zeros((), device=batches[0][0].device)
        for x, y in batches:
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        if last and self.scheduler is not None:
            self.scheduler.step()
        float(total)  # waits for the device, as a loop that reports its loss does
        return clock() - started


def one_epoch(
    runners: dict[str, Runner], batches: list[tuple[Tensor, Tensor]], turn: int
) -> dict[str, float]:
    """Seconds of an epoch by way, each tenth of it run by all ways in turn: all share the machine's moods."""
    seconds = dict.fromkeys(runners, 0.0)
    size = max(1, len(batches) // 10)
    names = list(runners)
    for begin in range(0, len(batches), size):
        # Begin with another way each time: none is always the one after the longest.
        turn += 1
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            last = begin + size >= len(batches)
            seconds[name] += runners[name].train(batches[begin : begin + size], last=last)
    return seconds


def compare(name: str, images: int, repeats: int, device: torch.device) -> dict[str, float]:
    """Time every way in turn, print a line for each; the median ratios by way."""
    make, size, share = NETWORKS[name]
    g = torch.Generator().manual_seed(0)
    x = torch.rand(images * share, 1, 28, 28, generator=g).to(device)
    y = torch.randint(10, (images * share,), generator=g).to(device)
    batches = list(zip(x.split(size), y.split(size), strict=True))
    runners = {way: Runner(way, make, batches) for way in WAYS}
    one_epoch(runners, batches, 0)
    rounds = [one_epoch(runners, batches, i) for i in range(repeats)]
    print(f"{name}: batch {size}, {len(batches)} steps, {repeats} rounds")
    medians = {}
    for way in WAYS:
        ratios = [seconds[way] / seconds["fixed"] for seconds in rounds]
        medians[way] = statistics.median(ratios)
        middle = statistics.median(seconds[way] for seconds in rounds)
        print(f"  {way:10}  x{medians[way]:.3f}  ({min(ratios):.3f} to {max(ratios):.3f})  {middle:.3f} s")
    return medians


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--only", choices=list(NETWORKS))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    where = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{arguments.threads} CPU thread(s)"
    )
    print(f"torch {torch.__version__}, {where}")
    for name in [arguments.only] if arguments.only else NETWORKS:
        compare(name, arguments.images, arguments.repeats, device)


if __name__ == "__main__":
    main()
