"""One rank of a data-parallel training over gloo; prints what it found as JSON.

python lipschitz_ranks.py RANK SIZE FILE CASE
"""

from __future__ import annotations

import json
import os
import sys

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from lrstudy import LipschitzLR
from lrstudy.errors import SchedulerError

STEPS, ROWS = 3, 8


class Net(nn.Module):
    """A head that is registered first."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.body = nn.Linear(5, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu())


def batches(case: str) -> list[tuple[Tensor, Tensor]]:
    """The global batches; the ranks' parts are chunks of them."""
    g = torch.Generator().manual_seed(0)
    found = []
    for i in range(STEPS):
        x = (i + 1) * torch.randn(ROWS, 5, generator=g, dtype=torch.float64)
        # One half of a batch is far larger than the other: what a rank by itself sees is another Kz.
        x[: ROWS // 2] *= 5
        squared = case.startswith("mse")
        y = torch.randn(ROWS, 3, generator=g).double() if squared else torch.randint(3, (ROWS,), generator=g)
        found.append((x, y))
    return found


def rates(case: str, rank: int, size: int) -> list[float]:
    """The rates of three epochs."""
    torch.manual_seed(1)
    model = Net().double()
    parts = [(x.chunk(size)[rank], y.chunk(size)[rank]) for x, y in batches(case)]
    parallel = size > 1
    run = DistributedDataParallel(model) if parallel else model
    given = model if case in ("module", "world", "alone", "late") else run
    optimizer = SGD(model.parameters(), lr=1e-3, momentum=0.5, dampening=0.5)
    options = {
        "world": {"process_group": dist.group.WORLD if parallel else None},
        "alone": {"process_group": False},
        "pass": {"measure": "pass"},
        "mse-valid": {"loss": "mse", "bound": "valid"},
        "mse": {"loss": "mse"},
        "sum": {"loss": nn.CrossEntropyLoss(reduction="sum")},
        "smoothness": {"bound": "smoothness"},
        "valid": {"bound": "valid"},
    }.get(case, {})
    if "mse" in case or case == "pass":
        options["batches"] = parts
    scheduler = LipschitzLR(optimizer, given, scale=1e-3, **options)
    function = nn.functional.mse_loss if "mse" in case else nn.functional.cross_entropy
    if case == "uneven":  # without the wrapper, which would wait for the other rank
        run, parts = model, parts[: STEPS - rank]
    micro = 2 if case == "accumulated" else 1
    found = []
    for _ in range(3):
        for x, y in parts:
            for a, b in zip(x.chunk(micro), y.chunk(micro), strict=True):
                (function(run(a), b) / micro).backward()
            optimizer.step()
            optimizer.zero_grad()
        scheduler.step()
        found.append(float(scheduler.get_last_lr()[0]))
    return found


def main() -> None:
    """Be one rank."""
    rank, size, file, *cases = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=size)
    results: dict[str, object] = {}
    for case in cases:
        try:
            results[case] = rates(case, rank, size)
        except SchedulerError as error:
            results[case] = str(error)
    print(json.dumps(results), flush=True)
    if size > 1:
        dist.destroy_process_group()
        os._exit(0)  # gloo's threads abort now and then where the interpreter ends by itself


if __name__ == "__main__":
    main()
