"""Epochs per second of the paper's networks: eager, compiled, captured, lrstudy's own, and packed.

Random images of the data set's shape, for values do not change the time. Ways to train:

- loader: ``DataLoader`` with 2 workers over uint8 images, eager, the loss read every step;
- eager: the images stay on the device, the loss is summed there and read once per epoch;
- compiled: the same with forward, backward and update under ``torch.compile``;
- graph: the same as one CUDA graph, with torch's own fused SGD and nothing else around it;
- lrstudy: a trial's own loop with ``resources.step = "captured"`` (on a CPU that is a plain step): its
  pipeline, a rate that changes every step, the whole step captured, its metrics, and one batch to evaluate.

Packed: so many processes at once on one device, each training as lrstudy does; the figure is their epochs
per second together.
"""

from __future__ import annotations

import math
import multiprocessing
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from gpu_trial import NETWORKS, config_of, random_data, study_of
from torch import Tensor, nn

from lrstudy.engine.trial import Training
from lrstudy.tasks import TaskData, build_model, precision_of

Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Job:
    """A network, how to train it, and how much of it."""

    network: str
    way: str
    device: str
    rows: int
    epochs: int
    bf16: bool = True

    @property
    def study(self) -> Any:
        """The study of the job's trials."""
        precision = "bf16" if self.bf16 else "float32"
        epochs = self.epochs + 2
        return study_of(self.network, epochs=epochs, precision=precision, channels_last=self.device == "cuda")


class TorchStep:
    """A training step as torch's users write it; ``__call__`` returns the loss, on the device."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.model = build_model(job.study.task.model, NETWORKS[job.network].shape, 10, 0).to(job.device)
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
    shape, size = NETWORKS[job.network].shape, NETWORKS[job.network].batch_size
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
        shape = NETWORKS[job.network].shape
        self.images = torch.randint(0, 256, (job.rows, *shape), dtype=torch.uint8)
        self.targets = torch.randint(10, (job.rows,))

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index].float().div_(255), self.targets[index]


def epochs_per_second(job: Job, ready: Any = None) -> float:
    """Train a warm-up epoch and then ``job.epochs``; ``ready`` is a barrier of the packed processes."""
    # torch's switches, the same for every way
    precision_of(job.study.task, torch.device(job.device))
    if job.way == "lrstudy":
        training = _trial(job, random_data(job.network, job.rows))
        epoch: Callable[[], Any] = training.run_to_evaluation
    else:
        epoch = _epoch_of(job)
    epoch()
    if ready is not None:
        ready.wait()
    started = time.perf_counter()
    for _ in range(job.epochs):
        epoch()
    seconds = time.perf_counter() - started
    if job.way == "lrstudy":
        training.close()
        if training.note is not None and job.device == "cuda":
            raise RuntimeError(training.note)
    return job.epochs / seconds


def first_epochs(job: Job) -> tuple[float, float]:
    """Return the seconds of the first epochs of two trials: the second moves into the first one's capture."""
    data, seconds = random_data(job.network, job.rows), []
    for _ in range(2):
        training = _trial(job, data)
        started = time.perf_counter()
        training.run_to_evaluation()
        seconds.append(time.perf_counter() - started)
        training.close()
    return seconds[0], seconds[1]


def _trial(job: Job, data: TaskData) -> Training:
    return Training(job.study, data, config_of("cosine", {"lr": 0.01}, 0), torch.device(job.device))


def _epoch_of(job: Job) -> Callable[[], None]:
    """What trains an epoch in one of torch's ways."""
    step: Step = TorchStep(job)
    if job.way == "loader":
        size = NETWORKS[job.network].batch_size
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
    """The ways that a device has, but for the compiled one, whose first step takes a minute."""
    return ("loader", "eager", *(("graph",) if device == "cuda" else ()), "lrstudy")


def ratios(*, quick: bool = False, device: str = "cuda") -> Iterator[tuple[str, float, str]]:
    """The figures for ``run.py``: (what, value, wanted)."""
    for network in ("paper-cnn", "resnet-20-v1"):
        job = Job(network, "", device, 2_000 if quick else 50_000, 3)
        speeds = {way: epochs_per_second(replace(job, way=way)) for way in (*ways(device), "compiled")}
        for way in list(speeds)[1:]:
            wanted = "≥ 3" if way == "lrstudy" and device == "cuda" else ""
            yield f"{network}: epochs per second, {way} / loader", speeds[way] / speeds["loader"], wanted
        wanted = "≤ 3" if device == "cuda" else ""
        floor = (NETWORKS[network].floor_seconds or math.nan) * job.rows / 50_000
        yield f"{network}: time of an epoch, lrstudy / its floor", 1 / (speeds["lrstudy"] * floor), wanted
