"""Epochs per second of the paper's networks on a GPU: eager, compiled, captured, and packed. Without Ray.

    python tests/bench/gpu.py [--device cuda] [--networks paper-cnn,resnet-20-v1] [--rows 50000]
                              [--packed 1,2,4,8] [--bf16]

Random images of the data set's shape, for values do not change the time. Ways to train:

- loader: ``DataLoader`` with 2 workers over uint8 images, eager, the loss read every step;
- eager: the images stay on the device, the loss is summed there and read once per epoch;
- compiled: the same with forward, backward and update under ``torch.compile``;
- captured: forward, loss and backward captured once as a CUDA graph, as lrstudy's own `step = "captured"`
  does it; the optimizer is called as always;
- graph: the optimizer captured too.

Packed: so many processes at once on one GPU, each training by the fastest of the resident ways; the
figure is their epochs per second together. Needs torch alone (and lrstudy's own folder).
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from lrstudy.tasks.models.registry import build_model
from lrstudy.tasks.precision import Precision
from lrstudy.tasks.step import build_gradient

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


class PlainStep:
    """One training step of a network; ``__call__`` returns the loss, on the device."""

    def __init__(self, job: Job) -> None:
        shape, _, _ = NETWORKS[job.network]
        spec: Any = SimpleNamespace(name=job.network, options={})
        self.job = job
        self.model = build_model(spec, shape, 10, 0).to(job.device)
        if job.device == "cuda":
            self.model = self.model.to(memory_format=torch.channels_last)
        # A tensor as the rate: a captured step reads it anew, whatever the schedule wrote.
        rate = torch.tensor(0.01, device=job.device)
        capturable = job.way in ("graph", "compiled")
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=rate if capturable else 0.01, momentum=0.9, foreach=True
        )

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.job.device, torch.bfloat16, enabled=self.job.bf16):
            loss = nn.functional.cross_entropy(self.model(inputs), targets)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class CapturedAsInStudies(PlainStep):
    """lrstudy's own captured gradient, and the optimizer after it."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        precision = Precision(torch.float32, job.bf16, True, job.device)
        device = torch.device(job.device)
        self.gradient = build_gradient("captured", self.model, nn.CrossEntropyLoss(), precision, device)

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        loss, _ = self.gradient(inputs, targets)
        self.optimizer.step()
        return loss


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
    device = torch.device(job.device)
    step: Step = CapturedAsInStudies(job) if job.way == "captured" else PlainStep(job)
    if job.way == "loader":
        size = NETWORKS[job.network][1]
        loader = torch.utils.data.DataLoader(
            _Images(job), size, shuffle=True, drop_last=True, num_workers=2, pin_memory=job.device == "cuda"
        )
    else:
        batches = resident(job)
        if job.way == "compiled":
            step = torch.compile(step)
        if job.way == "graph":
            step = Captured(step, *next(batches()))

    def epoch() -> None:
        total = torch.zeros((), device=device)
        if job.way == "loader":
            for inputs, targets in loader:
                step(inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)).item()
            return
        for inputs, targets in batches():
            total += step(inputs, targets)
        total.item()

    epoch()
    if ready is not None:
        ready.wait()
    started = time.perf_counter()
    for _ in range(job.epochs):
        epoch()
    return job.epochs / (time.perf_counter() - started)


def _packed_worker(job: Job, ready: Any, answers: Any) -> None:
    torch.set_num_threads(1)
    answers.put(epochs_per_second(job, ready))


def packed(job: Job, count: int) -> float:
    """Epochs per second of so many processes together."""
    spawn = multiprocessing.get_context("spawn")
    ready, answers = spawn.Barrier(count), spawn.Queue()
    workers = [spawn.Process(target=_packed_worker, args=(job, ready, answers)) for _ in range(count)]
    for worker in workers:
        worker.start()
    found = [answers.get() for _ in workers]
    for worker in workers:
        worker.join()
    return sum(found)


def ways(device: str) -> tuple[str, ...]:
    """The ways that a device has."""
    return ("loader", "eager", "compiled", *(("captured", "graph") if device == "cuda" else ()))


def compare(job: Job, counts: Sequence[int]) -> Iterator[tuple[str, float]]:
    """(what, value) per way, as ratios over the loader, as shares of the floor, and packed."""
    speeds: dict[str, float] = {}
    for way in ways(job.device):
        one = Job(job.network, way, job.device, job.rows, job.epochs, job.bf16)
        try:
            speeds[way] = epochs_per_second(one)
        except RuntimeError as error:  # capture or compilation failed: said, and the others go on
            print(f"  {job.network} {way}: {str(error).splitlines()[0]}", flush=True)
            continue
        print(f"  {job.network} {way}: {speeds[way]:.3f} epochs of {job.rows} images a second", flush=True)
    best = max((way for way in speeds if way != "loader"), key=speeds.__getitem__)
    for way in speeds:
        if way != "loader":
            yield f"epochs of {job.network}: {way} / eager with a DataLoader", speeds[way] / speeds["loader"]
    if job.device == "cuda":
        share = NETWORKS[job.network][2] * job.rows / 50_000 * speeds[best]
        yield f"{job.network}, {best}: floor of an epoch / its time", share
    alone = None
    for count in counts:
        rate = packed(Job(job.network, best, job.device, job.rows, job.epochs, job.bf16), count)
        alone = rate if alone is None else alone
        yield f"{job.network}, {best}: {count} packed / {counts[0]}", rate / alone


def ratios(*, quick: bool = False, device: str = "cuda") -> Iterator[tuple[str, float]]:
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
    for network in given.networks.split(","):
        job = Job(network, "", given.device, given.rows, given.epochs, given.bf16)
        for what, value in compare(job, [int(count) for count in given.packed.split(",")]):
            print(f"{what}: {value:.2f}", flush=True)


if __name__ == "__main__":
    main()
