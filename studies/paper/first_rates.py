"""The rule's first rate on each of the paper's networks, before any step, beside the rate that was recorded.

    python studies/paper/first_rates.py [--out reports/first-rates]

Purpose:  the recorded first rates go from 3.3 down to 2.3e-8. Here 1/L of the untrained network is measured
          as the scripts do, in evaluation mode, and again with the statistics of each batch in place of
          batch-norm's running ones, which before any step are 0 and 1 (report.md, summary.json)
Data:     `lrstudy data fetch mnist` and `cifar10`; networks of 100 classes see CIFAR-10's images too: of the
          labels only their number enters L
Hardware: any CPU; 10 minutes on 2 cores
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.optim import SGD

from lrstudy import LipschitzLR
from lrstudy.compat.torch import BATCH_NORMS
from lrstudy.spec import load_study
from lrstudy.tasks import load_data
from lrstudy.tasks.models.model_registry import build_model
from lrstudy.tasks.normalize import statistics

STUDIES = Path(__file__).parent
# The images that a network is shown, and its classes: of labels only their number enters L.
DATA = {"mnist": ("mnist", 10), "cifar-10": ("cifar10", 10), "cifar-100": ("cifar10", 100)}
IMAGES, SEEDS = 1280, 5
NOTHING_LEARNED = 1e-6  # no epoch at such a rate changes anything


@dataclass(frozen=True)
class Network:
    """One of the paper's networks, and the study file with its data, or with those and another network."""

    name: str
    study: str
    dataset: str
    model: str
    settings: tuple[str, ...] = ()


# Every network of which the authors recorded a run of plain SGD with the rule.
NETWORKS = (
    Network("the paper's CNN, MNIST", "mnist-sgd", "mnist", "paper-cnn"),
    Network("ResNet-20, CIFAR-10", "cifar10-resnet20", "cifar-10", "resnet-20-v1"),
    Network("DenseNet-40-12, CIFAR-10", "cifar10-densenet40", "cifar-10", "densenet-40-12"),
    Network("DenseNet-40-12, CIFAR-100", "cifar100-densenet40", "cifar-100", "densenet-40-12"),
    Network(
        "ResNet-56, CIFAR-100",
        "cifar100-resnet164",
        "cifar-100",
        "resnet-56-v2",
        ("task.model=resnet-56-v2",),
    ),
    Network("ResNet-164, CIFAR-100", "cifar100-resnet164", "cifar-100", "resnet-164-v2"),
)


def recorded_of(network: Network, summary: dict[str, Any]) -> tuple[tuple[float, ...], float]:
    """Return the first rates that the authors' runs logged, and their λ, from the summary of those."""
    if network.dataset == "mnist":
        return (summary["mnist"]["rates"]["first"],), 0.0
    runs = [
        run
        for run in summary["rates"]
        if (run["dataset"], run["model"], run["optimizer"]) == (network.dataset, network.model, "sgd")
    ]
    return tuple(run["first_epochs"][0] for run in runs), runs[0]["l2"]


@dataclass(frozen=True)
class Rates:
    """1/L of one network before any step, for each seed."""

    network: str
    recorded: tuple[float, ...]
    running: list[float]  # in evaluation mode, batch-norm with its running statistics
    batch: list[float]  # batch-norm with the batch's own


def measured(network: Network, summary: dict[str, Any], images: int, seeds: int) -> Rates:
    """Measure it on some training images, with models of several seeds."""
    recorded, l2 = recorded_of(network, summary)
    dataset, classes = DATA[network.dataset]
    settings = [f"task.rows={images}", f"task.dataset={dataset}", *network.settings]
    spec = load_study(STUDIES / f"{network.study}.toml", settings)
    data = load_data(spec.built_in, spec.seed)
    shift, factor = statistics(str(spec.built_in.normalize), data)
    rows = data.train.inputs - (0.0 if shift is None else shift)
    inputs = torch.tensor(rows * factor, dtype=torch.float32).split(spec.built_in.batch_size)
    found: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(seeds):
        for own_statistics, rates in found.items():
            model = build_model(spec.built_in.model, tuple(data.train.inputs.shape[1:]), classes, seed)
            if own_statistics:
                _forget_running_statistics(model)
            scheduler = LipschitzLR(
                SGD(model.parameters(), lr=0.01),
                model,
                loss="clipped-cross-entropy",
                measure="pass",
                batches=inputs,
                norms="all",
                l2=l2,
            )
            rates.append(scheduler.get_last_lr()[0])
            scheduler.close()
    return Rates(network.name, recorded, found[False], found[True])


def _forget_running_statistics(model: nn.Module) -> None:
    # Without running statistics torch normalises by the batch's in evaluation mode too.
    for module in model.modules():
        if isinstance(module, BATCH_NORMS):
            module.track_running_stats = False
            module.running_mean = module.running_var = None


def report(found: Sequence[Rates], images: int) -> str:
    """Return the page: a row for each network."""
    what = (
        "1/L before any step, the median of the seeds and their range: as coded, in evaluation mode, where an"
        " untrained batch-norm normalises nothing; and with each batch's own statistics. Recorded: the first"
        " rates that the authors' plain-SGD runs logged. The largest norm counts: theirs is over all training"
        f" images, ours over {images:,}, which alone makes our rates higher.\n"
    )
    lines = [
        "# The first rate of the paper's networks\n",
        _sentence(found),
        what,
        "| network | recorded | as coded | with the batch's statistics |",
        "| :-- | --: | --: | --: |",
    ]
    for one in found:
        recorded = ", ".join(f"{rate:.3g}" for rate in one.recorded)
        lines.append(f"| {one.network} | {recorded} | {_range(one.running)} | {_range(one.batch)} |")
    lines.append("\n---\n\nMade by `python studies/paper/first_rates.py`.\n")
    return "\n".join(lines)


def _sentence(found: Sequence[Rates]) -> str:
    pairs = [(rate, one.running) for one in found for rate in one.recorded]
    inside = sum(min(ours) <= rate <= max(ours) for rate, ours in pairs)
    text = f"{inside} of {len(pairs)} recorded first rates lie within the range of ours."
    for one in found:
        if max(one.running) < NOTHING_LEARNED < min(one.batch):
            text += (
                f" {one.network}: about {median(one.running):.0e} as coded, and {median(one.batch):.3g} as"
                " soon as the batch-norm normalises: its first rate says nothing of the task."
            )
    return f"**{text}**\n"


def _range(rates: Sequence[float]) -> str:
    return f"{median(rates):.3g} ({min(rates):.3g}–{max(rates):.3g})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every network and write the report; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("reports/first-rates"))
    parser.add_argument("--recorded", type=Path, default=Path("reports/paper/summary.json"))
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args(arguments)
    found = []
    summary = json.loads(given.recorded.read_text(encoding="utf-8"))
    for network in NETWORKS:
        found.append(measured(network, summary, given.images, given.seeds))
        print(f"{network.name}: {_range(found[-1].running)}", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    numbers = {"images": given.images, "seeds": given.seeds, "networks": [asdict(one) for one in found]}
    (given.out / "summary.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    (given.out / "report.md").write_text(report(found, given.images), encoding="utf-8")
    print(f"report: {given.out / 'report.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
