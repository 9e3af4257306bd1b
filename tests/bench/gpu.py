"""Everything that is to be measured on a GPU, in one run of at most 8 minutes.

    python tests/bench/gpu.py [--minutes 8] [--out DIR] [--data DIR] [--device cuda]
    python tests/bench/gpu.py --pack DIR [--images 20000,2000]

Parts in order of worth: the ways to train agree (a wrong number would hide there), epochs per second of the
paper's networks, lanes, a study on CIFAR-10 without Ray, packed processes, the compiler. A part that would
not fit into the time left is skipped; ``figures.json`` and ``table.md`` in ``--out`` are written after every
figure, so that a kill keeps what was measured. The exit code is 1 if a check does not agree or a part fails.

``--pack`` writes the images that ``--data`` reads, on a machine that has the data set. Needs torch, numpy,
Pillow and lrstudy's own folder: no Ray, Optuna, pydantic or pyarrow.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # lrstudy need not be installed

import gpu_agreement
import gpu_lanes
import gpu_speed
import gpu_study
import torch
from gpu_figures import Figures
from gpu_speed import Job
from gpu_trial import NETWORKS

PAPER = ("paper-cnn", "resnet-20-v1", "densenet-40-12", "resnet-164-v2")
DEEP = ("densenet-40-12", "resnet-164-v2")  # trained on a fifth of the rows
ALL_PARTS = ("agree", "speed", "lanes", "study", "packed", "deep", "compiled")
# Seconds kept for writing and leaving.
_MARGIN = 10.0


@dataclass(frozen=True)
class Work:
    """A part: its name, the seconds that it needs at least on a GPU, and what it does."""

    name: str
    seconds: float
    run: Callable[[], None]


class Plan:
    """The parts of one run, from its options."""

    def __init__(self, given: argparse.Namespace, figures: Figures, left: Callable[[], float]) -> None:
        self._given, self._figures, self._left = given, figures, left
        self._device = torch.device(given.device)
        self._counts = [int(count) for count in given.packed.split(",") if count]

    def work(self) -> Iterator[Work]:
        """Yield the parts in order of worth."""
        given = self._given
        networks = [name for name in given.networks.split(",") if name]
        shallow = [name for name in networks if name not in DEEP]
        deep = [name for name in networks if name in DEEP]
        by_kind = {
            "agree": _each("agree", 20, self._agree, _names(given.checks)),
            "speed": _each("speed", 30, self._speed, shallow),
            "lanes": _each("lanes", 15, self._lanes, _names(given.in_lanes)),
            "study": [Work("study", 45, self._study)],
            "packed": _each("packed", 40, self._packed, shallow),
            "deep": _each("speed", 40, self._speed, deep),
            "compiled": _each("compiled", 60, self._compiled, networks),
        }
        for kind in _names(given.parts):
            yield from by_kind[kind]

    def _agree(self, network: str) -> None:
        packed = bool(self._counts) and network == _names(self._given.checks)[-1]
        for check in gpu_agreement.checks(network, self._device, self._given.check_rows, packed=packed):
            self._figures.check(check)

    def _job(self, network: str, way: str = "lrstudy") -> Job:
        rows = self._given.rows // 5 if network in DEEP else self._given.rows
        return Job(network, way, self._given.device, rows, 1 if network in DEEP else self._given.epochs)

    def _speed(self, network: str) -> None:
        for way in gpu_speed.ways(self._given.device):
            self._measure(self._job(network, way))
        first, second = gpu_speed.first_epochs(self._job(network))
        self._figures.add(network=network, first_trial_s=first, second_trial_s=second)

    def _compiled(self, network: str) -> None:
        self._measure(self._job(network, "compiled"))

    def _measure(self, job: Job) -> None:
        speed = gpu_speed.epochs_per_second(job) * job.rows / 50_000
        floor = NETWORKS[job.network].floor_seconds
        of_floor = {"floor_share": floor * speed} if job.way == "lrstudy" and floor else {}
        self._figures.add(network=job.network, way=job.way, epochs_per_second=speed, **of_floor)

    def _packed(self, network: str) -> None:
        for count in self._counts:
            job = self._job(network)
            speed = gpu_speed.packed(job, count) * job.rows / 50_000
            self._figures.add(network=network, way=f"packed {count}", epochs_per_second=speed)

    def _lanes(self, network: str) -> None:
        counts, alone = [int(count) for count in _names(self._given.lanes)], 0.0
        rows, epochs = self._given.lane_rows, self._given.epochs
        for count, speeds in gpu_lanes.speeds(network, counts, rows, epochs, self._device):
            alone = alone or speeds["captured"]
            gain = {"captured / one by one": speeds["captured"] / alone}
            self._figures.add(network=network, lanes=count or "one by one", **speeds, **gain)

    def _study(self) -> None:
        from gpu_images import unpack

        data = unpack(Path(self._given.data))
        print(f"  {data.description}", flush=True)
        until = time.monotonic() + min(self._given.study_seconds, self._left())
        for figure in gpu_study.trials(
            data,
            self._device,
            network=self._given.study_network,
            epochs=self._given.study_epochs,
            target=self._given.target,
            left=lambda: until - time.monotonic(),
        ):
            self._figures.add(**figure)


def _each(kind: str, seconds: float, run: Callable[[str], None], networks: Sequence[str]) -> list[Work]:
    return [Work(f"{kind} {network}", seconds, partial(run, network)) for network in networks]


def _names(listed: str) -> list[str]:
    return [name for name in listed.split(",") if name]


def run_parts(plan: Plan, figures: Figures, left: Callable[[], float], *, skip: bool) -> None:
    """Run every part that fits into the time left (``skip``), and record the others as skipped."""
    for work in plan.work():
        part = figures.begin(work.name)
        if left() < (work.seconds if skip else 0.0):
            part.state, part.note = "skipped", f"{left():.0f} s left, needs {work.seconds:.0f} s"
            print(f"  skipped: {part.note}", flush=True)
            figures.write()
            continue
        started = time.monotonic()
        try:
            work.run()
            part.state = "done"
        except Exception as error:  # noqa: BLE001 - the other parts are still worth their time
            first = (str(error).strip().splitlines() or [""])[0]
            part.state, part.note = "failed", f"{type(error).__name__}: {first}"
            print(f"  failed: {part.note}", flush=True)
        part.seconds = round(time.monotonic() - started, 1)
        figures.write()


def _cut(figures: Figures) -> None:
    """End the process when the time is used up: every figure is written already."""
    figures.parts[-1].note = "the time was used up"
    figures.write()
    print("the time is used up", flush=True)
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(0 if figures.agrees else 1)


def options(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", default="gpu-figures")
    parser.add_argument("--data", default=".gpu-data", help="folder of --pack")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--parts", default=",".join(ALL_PARTS))
    parser.add_argument("--checks", default="mlp,paper-cnn,resnet-20-v1", help="networks to compare")
    parser.add_argument("--check-rows", type=int, default=2_048)
    parser.add_argument("--networks", default=",".join(PAPER))
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--packed", default="1,2,4,8")
    parser.add_argument("--in-lanes", default="mlp,cnn")
    parser.add_argument("--lanes", default="1,4,16,64")
    parser.add_argument("--lane-rows", type=int, default=8_192)
    parser.add_argument("--study-network", default="resnet-20-v1")
    parser.add_argument("--study-epochs", type=int, default=20)
    parser.add_argument("--study-seconds", type=float, default=150.0)
    parser.add_argument("--target", type=float, default=0.75)
    parser.add_argument("--pack", metavar="DIR")
    parser.add_argument("--images", default="20000,2000", help="training and test images of --pack")
    return parser.parse_args(given)


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack the images, or measure; return the exit code."""
    given = options(arguments)
    if given.pack:
        from gpu_images import pack

        train, test = map(int, given.images.split(","))
        for path in pack(Path(given.pack), train, test):
            print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        return 0
    until = time.monotonic() + 60 * given.minutes - _MARGIN
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first product, for the checks
    if given.device == "cpu":
        torch.set_num_threads(1)  # several would wait for each other beside the loader's workers
    figures = Figures(Path(given.out), given.device)

    def left() -> float:
        return until - time.monotonic()

    watch = threading.Timer(left(), _cut, [figures])
    watch.daemon = True
    watch.start()
    run_parts(Plan(given, figures, left), figures, left, skip=given.device == "cuda")
    watch.cancel()
    print(figures.markdown(), flush=True)
    return 0 if figures.agrees else 1


if __name__ == "__main__":
    sys.exit(main())
