"""The device of a trial on machines with and without GPUs; the machines are pretended."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lrstudy.spec.models import Resources
from lrstudy.tuning import gpus
from lrstudy.tuning.cluster import session
from lrstudy.tuning.worker.process import device_name


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    def with_gpus(cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return with_gpus


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "device", "count"),
    [
        (0, False, 1.0, "cpu", 0),
        (0, True, 0.0, "cpu", 1),
        (0, True, 0.5, "mps", 1),
        (2, False, 1.0, "cuda:0", 2),
        (2, True, 1.0, "cuda:0", 2),
    ],
)
def test_a_trial_trains_on_the_gpu_that_it_asks_for(
    machine: Any, cuda: int, mps: bool, wanted: float, device: str, count: int
) -> None:
    machine(cuda, mps)
    assert gpus.training_device(wanted) == torch.device(device)
    assert gpus.gpu_count() == count


def test_ray_is_told_of_an_apple_gpu_where_a_study_asks_for_one(machine: Any) -> None:
    machine(mps=True)
    assert session.check_local(Resources(gpus=1)) == []
    assert session._uncounted_gpu(1) == {"num_gpus": 1}
    assert session._uncounted_gpu(0) == {}
    machine(cuda=1)
    assert session._uncounted_gpu(1) == {}
    machine()
    (problem,) = session.check_local(Resources(gpus=1))
    assert "0 are available" in problem.message


def test_several_workers_on_an_apple_gpu_are_refused(machine: Any) -> None:
    machine(mps=True)
    (problem,) = session.check_local(Resources(gpus=0.5, workers=2))
    assert "not trained together on an Apple GPU" in problem.message
    assert session.check_local(Resources(gpus=0, workers=1)) == []


def test_the_record_of_a_trial_names_its_device() -> None:
    assert device_name(torch.device("mps")).endswith(" mps")
