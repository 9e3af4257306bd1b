"""A small training on which any schedule can be put to work."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lrstudy.schedules import Schedule, ScheduleContext, build_schedule


class Training:
    """Three classes from four features, two parameter groups, batches of eight; float64, seeded."""

    def __init__(
        self,
        kind: str,
        params: Mapping[str, Any],
        *,
        optimizer: str = "sgd",
        epochs: int = 4,
        steps_per_epoch: int = 3,
        ratio: float = 0.1,
        metrics: tuple[float, ...] = (0.5, 0.5, 0.5, 0.6),
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        self.batches = [
            (
                torch.randn(8, 4, generator=generator, dtype=torch.float64),
                torch.randint(0, 3, (8,), generator=generator),
            )
            for _ in range(steps_per_epoch)
        ]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
        groups = [
            {"params": list(self.model[0].parameters()), "lr": 0.05},
            {"params": list(self.model[2].parameters()), "lr": 0.05 * ratio},
        ]
        factory = {
            "sgd": lambda: torch.optim.SGD(groups, momentum=0.9, dampening=0.9),
            "adam": lambda: torch.optim.Adam(groups),
        }[optimizer]
        self.metrics = metrics
        self.epochs = epochs
        self.step = 0
        self.schedule: Schedule = build_schedule(
            kind,
            params,
            ScheduleContext(
                optimizer=factory(),
                model=self.model,
                loss_name="cross-entropy",
                loss_options={},
                epochs=epochs,
                steps_per_epoch=steps_per_epoch,
                batches=self._batches,
                seed=0,
            ),
        )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self.batches

    @property
    def total_steps(self) -> int:
        return self.epochs * len(self.batches)

    @property
    def rates(self) -> list[float]:
        return [float(group["lr"]) for group in self.schedule.optimizer.param_groups]

    def run(self, until: int | None = None) -> list[list[float]]:
        """Train up to a step (default: to the end); returns the groups' rates at each step taken."""
        seen = []
        while self.step < (self.total_steps if until is None else until):
            epoch, batch = divmod(self.step, len(self.batches))
            if batch == 0:
                self.schedule.before_training()
                self.model.train()
            seen.append(self.rates)
            inputs, targets = self.batches[batch]
            self.schedule.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(inputs), targets)
            loss.backward()
            if self.schedule.needs_loss:
                self.schedule.before_step(loss)
            self.schedule.optimizer.step()
            self.schedule.after_step()
            self.step += 1
            if batch == len(self.batches) - 1:
                self.schedule.before_evaluation()
                self.model.eval()
                self.schedule.after_epoch(self.metrics[epoch % len(self.metrics)])
        return seen

    def save(self) -> bytes:
        """A checkpoint, as a file's bytes."""
        file = io.BytesIO()
        state = {
            "step": self.step,
            "training": self.model.training,
            "model": self.model.state_dict(),
            "optimizer": self.schedule.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        torch.save(state, file)
        return file.getvalue()

    def load(self, checkpoint: bytes) -> None:
        """Continue from a checkpoint, which the safe loader must accept."""
        state = torch.load(io.BytesIO(checkpoint), weights_only=True)
        self.step = state["step"]
        self.model.train(state["training"])
        self.model.load_state_dict(state["model"])
        self.schedule.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])

    def weights(self) -> dict[str, Tensor]:
        return copy.deepcopy(self.model.state_dict())

    def momenta(self) -> list[object]:
        groups = self.schedule.optimizer.param_groups
        return [group["betas"] if "betas" in group else group["momentum"] for group in groups]


@pytest.fixture
def training() -> type[Training]:
    return Training


@pytest.fixture
def is_rate() -> Any:
    return lambda rate: math.isfinite(rate) and rate > 0
