"""Epochs per second of the paper's networks on a GPU: eager, compiled, captured, lrstudy's own, and packed.

    python tests/bench/gpu.py [--device cuda] [--networks paper-cnn,resnet-20-v1] [--rows 50000]
                              [--packed 1,2,4,8] [--bf16]

Random images of the data set's shape, for values do not change the time. Ways to train:

- loader: ``DataLoader`` with 2 workers over uint8 images, eager, the loss read every step;
- eager: the images stay on the device, the loss is summed there and read once per epoch;
- compiled: the same with forward, backward and update under ``torch.compile``;
- graph: the same as one CUDA graph, with torch's own fused SGD and nothing else around it;
- lrstudy: a study's own loop with `resources.step = "captured"` (on a CPU that is a plain step): its
  pipeline, a rate that changes every step, the whole step captured, its metrics.

Ratios: each way's epochs per second over the loader's, and an epoch's time over its floor (see NETWORKS).
Packed: so many processes at once on one device, each training as lrstudy does; the figure is their epochs
per second together. Needs torch and lrstudy's own folder: no Ray, Optuna or pydantic.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrstudy.engine.step import build_step
from lrstudy.schedules import ScheduleContext, build_schedule
from lrstudy.tasks import (
    Split,
    TaskData,
    assemble,
    build_model,
    precision_of,
)

# name: (shape of an image, batch size, floor of an epoch in seconds at bf16 and unfused memory traffic)
NETWORKS = {
    "paper-cnn": ((1, 28, 28), 256, 0.030),
    "resnet-20-v1": ((3, 32, 32), 128, 0.100),
    "densenet-40-12": ((3, 32, 32), 64, 1.200),
    "resnet-164-v2": ((3, 32, 32), 128, 2.000),
}
Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Job:
    """A network, how to train it, and how much of it."""

    network: str
    way: str
    device: str
    rows: int
    epochs: int
    bf16: bool


class TorchStep:
    """A training step as torch's users write it; ``__call__`` returns the loss, on the device."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.model = build_model(task_of(job).model, NETWORKS[job.network][0], 10, 0).to(job.device)
        if job.device == "cuda":
            self.model = self.model.to(memory_format=torch.channels_last)
        # A tensor as the rate: a captured or compiled step reads it anew, whatever the schedule wrote.
        # torch's foreach SGD would read its value at once, which ends a capture; its fused one does not.
        rate = torch.tensor(0.01, device=job.device) if job.way in ("graph", "compiled") else 0.01
        kernels = {"fused": True} if job.way == "graph" else {"foreach": True}
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate, momentum=0.9, **kernels)

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.job.device, torch.bfloat16, enabled=self.job.bf16):
            loss = nn.functional.cross_entropy(self.model(inputs), targets)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def task_of(job: Job) -> Any:
    """The job as a study's task, without a study file: that would need pydantic."""
    part = lambda name, **options: SimpleNamespace(name=name, options=options, is_users_own=False)  # noqa: E731 - a name for three calls
    return SimpleNamespace(
        model=part(job.network),
        loss=part("cross-entropy"),
        optimizer=part("sgd", lr=0.01, momentum=0.9),
        batch_size=NETWORKS[job.network][1],
        precision="bf16" if job.bf16 else "float32",
        channels_last=job.device == "cuda",
        deterministic=False,
        augment=(),
        normalize=None,
    )


class Trial:
    """A trial as ``lrstudy.engine.trial`` puts it together, without its evaluations."""

    def __init__(self, job: Job, data: TaskData) -> None:
        task, device = task_of(job), torch.device(job.device)
        self.parts = assemble(task, data, device)
        context = ScheduleContext(
            optimizer=self.parts.optimizer,
            model=self.parts.model,
            loss_name=task.loss.name,
            loss_options={},
            epochs=job.epochs + 2,
            steps_per_epoch=self.parts.pipeline.steps_per_epoch,
            batches=lambda: iter(()),
            seed=0,
        )
        self.schedule = build_schedule("cosine", {}, context)
        self.step = build_step(self.parts, "captured", self.schedule.optimizer)

    def epoch(self) -> None:
        """The loop of ``Training``."""
        sums = self.parts.new_sums()
        rates = []
        for inputs, targets in self.parts.pipeline.train_batches(self.parts.order):
            rates.append(self.schedule.rate)
            loss, outputs = self.step(inputs, targets)
            self.schedule.after_step()
            sums.update(loss, outputs, targets)
        sums.result()


def data_of(job: Job) -> TaskData:
    """Random images, whole batches of them."""
    shape, size, _ = NETWORKS[job.network]
    draw, rows = np.random.default_rng(0), job.rows - job.rows % size
    split = Split(draw.integers(0, 256, (rows, *shape), np.uint8), draw.integers(0, 10, rows))
    return TaskData("random", split, split, split, classes=10, image=True)


class Captured:
    """A step captured as a CUDA graph: copies each batch into the buffers that it reads."""

    def __init__(self, step: Step, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs.clone(), targets.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step(self.inputs, self.targets)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = step(self.inputs, self.targets)

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.inputs.copy_(inputs)
        self.targets.copy_(targets)
        self.graph.replay()
        return self.loss


def resident(job: Job) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Whole batches of images that stay on the device, in a new order at each call."""
    shape, size, _ = NETWORKS[job.network]
    images = torch.randint(0, 256, (job.rows, *shape), dtype=torch.uint8, device=job.device)
    targets = torch.randint(10, (job.rows,), device=job.device)

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(job.rows, device=job.device)
        for some in order[: job.rows - job.rows % size].split(size):
            yield images.index_select(0, some).float().div_(255), targets.index_select(0, some)

    return epoch


class _Images(torch.utils.data.Dataset[Any]):
    """Images as a user's data set gives them: one at a time, converted in the worker."""

    def __init__(self, job: Job) -> None:
        shape, _, _ = NETWORKS[job.network]
        self.images = torch.randint(0, 256, (job.rows, *shape), dtype=torch.uint8)
        self.targets = torch.randint(10, (job.rows,))

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index].float().div_(255), self.targets[index]


def epochs_per_second(job: Job, ready: Any = None) -> float:
    """Train a warm-up epoch and then ``job.epochs``; ``ready`` is a barrier of the packed processes."""
    precision_of(task_of(job), torch.device(job.device))  # torch's switches, the same for every way
    if job.way == "lrstudy":
        data = data_of(job)
        first = Trial(job, data)
        began = time.perf_counter()
        first.epoch()
        first_seconds = time.perf_counter() - began
        first.step.close(keep=True)
        trial = Trial(job, data)  # moves into what the first one captured
        began = time.perf_counter()
        trial.epoch()
        if ready is None:
            note = trial.step.note or f"{first_seconds:.2f} s, then {time.perf_counter() - began:.2f} s"
            print(f"  {job.network} lrstudy: first epochs of two trials in one process: {note}", flush=True)
        epoch = trial.epoch
    else:
        epoch = _epoch_of(job)
        epoch()
    if ready is not None:
        ready.wait()
    started = time.perf_counter()
    for _ in range(job.epochs):
        epoch()
    return job.epochs / (time.perf_counter() - started)


def _epoch_of(job: Job) -> Callable[[], None]:
    """What trains an epoch in one of torch's ways."""
    step: Step = TorchStep(job)
    if job.way == "loader":
        size = NETWORKS[job.network][1]
        loader = torch.utils.data.DataLoader(
            _Images(job), size, shuffle=True, drop_last=True, num_workers=2, pin_memory=job.device == "cuda"
        )

        def from_loader() -> None:
            for inputs, targets in loader:
                step(
                    inputs.to(job.device, non_blocking=True), targets.to(job.device, non_blocking=True)
                ).item()

        return from_loader
    batches = resident(job)
    if job.way == "compiled":
        step = torch.compile(step)
    if job.way == "graph":
        step = Captured(step, *next(batches()))

    def from_device() -> None:
        total = torch.zeros((), device=job.device)
        for inputs, targets in batches():
            total += step(inputs, targets)
        total.item()

    return from_device


def _packed_worker(job: Job, ready: Any, answers: Any) -> None:
    torch.set_num_threads(1)
    answers.put(epochs_per_second(job, ready))


def packed(job: Job, count: int) -> float:
    """Epochs per second of so many processes together; ``RuntimeError`` where one of them dies."""
    spawn = multiprocessing.get_context("spawn")
    ready, answers = spawn.Barrier(count), spawn.Queue()
    workers = [
        spawn.Process(target=_packed_worker, args=(job, ready, answers), daemon=True) for _ in range(count)
    ]
    for worker in workers:
        worker.start()
    try:
        return sum(_answer(answers, workers) for _ in workers)
    finally:
        for worker in workers:  # after a death the others wait at the barrier for ever
            worker.join(timeout=5)
            worker.terminate()
            worker.join()


def _answer(answers: Any, workers: Sequence[Any]) -> float:
    while True:
        try:
            return float(answers.get(timeout=1))
        except queue.Empty:
            if dead := [worker.exitcode for worker in workers if worker.exitcode]:
                raise RuntimeError(f"a packed process ended with exit code {dead[0]}") from None


def ways(device: str) -> tuple[str, ...]:
    """The ways that a device has."""
    return ("loader", "eager", "compiled", *(("graph",) if device == "cuda" else ()), "lrstudy")


def compare(job: Job, counts: Sequence[int]) -> Iterator[tuple[str, float, str]]:
    """(what, value, wanted): each way over the loader, lrstudy's epoch over its floor, and packed."""
    name, speeds = job.network, {}
    for way in ways(job.device):
        try:
            speeds[way] = epochs_per_second(replace(job, way=way))
        except Exception as error:  # noqa: BLE001 - no capture, no compiler: said, and the others go on
            print(f"  {name} {way}: {str(error).splitlines()[0]}", flush=True)
            continue
        print(f"  {name} {way}: {speeds[way]:.3f} epochs of {job.rows} images a second", flush=True)
    for way in speeds:
        if way != "loader" and "loader" in speeds:
            wanted = "≥ 3" if way == "lrstudy" and job.device == "cuda" else ""
            yield (
                f"{name}: epochs per second, {way} / eager with a DataLoader",
                speeds[way] / speeds["loader"],
                wanted,
            )
    floor = NETWORKS[name][2] * job.rows / 50_000
    for way in [way for way in speeds if way != "loader"]:
        wanted = "≤ 3" if way == "lrstudy" and job.device == "cuda" else ""
        yield f"{name}: time of an epoch, {way} / its floor on a GPU", 1 / (speeds[way] * floor), wanted
    alone = None
    for count in counts:
        try:
            rate = packed(replace(job, way="lrstudy"), count)
        except RuntimeError as error:
            print(f"  {name}: {count} packed: {error}", flush=True)
            continue
        print(f"  {name}: {count} packed: {rate:.3f} epochs of {job.rows} images a second", flush=True)
        alone = alone or (count, rate)
        yield f"{name}: epochs per second, {count} packed / {alone[0]}", rate / alone[1], ""


def ratios(*, quick: bool = False, device: str = "cuda") -> Iterator[tuple[str, float, str]]:
    """The figures for ``run.py``."""
    for network in ("paper-cnn", "resnet-20-v1"):
        yield from compare(Job(network, "", device, 2_000 if quick else 50_000, 3, bf16=True), (1, 2, 4, 8))


def main() -> None:
    """Print a line per figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--packed", default="1,2,4,8")
    parser.add_argument("--bf16", action="store_true")
    given = parser.parse_args()
    if given.device == "cpu":
        torch.set_num_threads(1)  # several would wait for each other beside the loader's workers
    for network in given.networks.split(","):
        job = Job(network, "", given.device, given.rows, given.epochs, given.bf16)
        for what, value, wanted in compare(job, [int(count) for count in given.packed.split(",")]):
            print(f"{what}: {value:.2f}" + (f" (wanted {wanted})" if wanted else ""), flush=True)


if __name__ == "__main__":
    main()
