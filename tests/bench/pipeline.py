"""How many augmented 28×28 images per CPU second: the pipeline, and torchvision's transforms in a DataLoader.

Both shift by up to 10%, flip and normalise 60,000 images in shuffled batches of 256. The stock way is a
data set of PIL images with torchvision's transforms, read by 2 worker processes. CPU seconds are those of
this process and its workers together. Target: a ratio of at least 10.

    python tests/bench/pipeline.py
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import FashionMNIST

from lrstudy.spec import TaskSpec
from lrstudy.tasks import Pipeline, Split, TaskData

ROWS, STOCK_ROWS, BATCH = 60_000, 20_000, 256


def images(rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (rows, 1, 28, 28), dtype=np.uint8), rng.integers(0, 10, rows)


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def per_second(name: str, rows: int, epoch: Callable[[], int], epochs: int) -> float:
    """Images per CPU second, best of some epochs after one to warm up."""
    assert epoch() == rows
    best = 0.0
    for _ in range(epochs):
        cpu, wall = cpu_seconds(), time.perf_counter()
        epoch()
        cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
        best = max(best, rows / cpu)
        print(f"{name:>9}: {rows / cpu:>9,.0f} images per CPU second, {rows / wall:>9,.0f} per second")
    return best


def pipeline_epoch() -> Callable[[], int]:
    inputs, targets = images(ROWS)
    split = Split(inputs, targets)
    data = TaskData("bench", split, split, split, classes=10, image=True)
    task = TaskSpec(
        dataset="bench", model="paper-cnn", batch_size=BATCH, epochs=1, augment=("shift:0.1", "flip")
    )
    pipeline = Pipeline(data, task, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    return lambda: sum(len(x) for x, _ in pipeline.train_batches(generator))


class _Stock(FashionMNIST):
    """torchvision's own reading of an image, over images that need no file."""

    def __init__(self, transform: Callable[..., object]) -> None:
        inputs, targets = images(STOCK_ROWS)
        self.data, self.targets = torch.from_numpy(inputs[:, 0]), torch.from_numpy(targets)
        self.transform, self.target_transform = transform, None


def stock_epoch() -> Callable[[], int]:
    transform = transforms.Compose(
        [
            transforms.RandomAffine(0, translate=(0.1, 0.1)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.5,), (0.5,)),
        ]
    )
    loader = DataLoader(_Stock(transform), BATCH, shuffle=True, num_workers=2)
    return lambda: sum(len(x) for x, _ in loader)


def ratio() -> float:
    """Images per CPU second of the pipeline over the stock way's."""
    torch.set_num_threads(1)
    fast = per_second("pipeline", ROWS, pipeline_epoch(), epochs=3)
    return fast / per_second("stock", STOCK_ROWS, stock_epoch(), epochs=2)


def main() -> None:
    print(f"ratio per CPU second: {ratio():.1f} (target: at least 10)")


if __name__ == "__main__":
    main()
