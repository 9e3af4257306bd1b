"""Trials that share a GPU are refused unless they fit into its memory."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from lrstudy.spec import Resources, parse_study
from lrstudy.tasks import load_data
from lrstudy.tuning.cluster.check_gpu_memory import gpu_memory_problem, peak_bytes

GIB = 2**30


def test_trials_that_do_not_fit_are_refused_with_the_share_that_would() -> None:
    # 2 GiB and a context of 0.6: four fit into nine tenths of 16 GiB, ten do not.
    assert gpu_memory_problem(Resources(gpus=0.25), 2 * GIB, 16 * GIB) is None
    problem = gpu_memory_problem(Resources(gpus=0.1), 2 * GIB, 16 * GIB)
    assert problem is not None
    assert "10 trials at once do not fit into a GPU's memory (2.6 GiB each, of 16.0)" in str(problem)
    assert "gpus = 0.2 or more" in str(problem)


def test_where_not_even_one_fits_smaller_batches_are_the_remedy() -> None:
    assert "batches smaller" in str(gpu_memory_problem(Resources(gpus=0.5), 20 * GIB, 16 * GIB))


@given(st.floats(0.05, 0.99), st.integers(0, 8 * GIB), st.integers(8 * GIB, 80 * GIB))
def test_the_share_that_is_offered_fits(gpus: float, each: int, total: int) -> None:
    problem = gpu_memory_problem(Resources(gpus=gpus), each, total)
    if problem is not None and "gpus = " in problem.remedy:
        offered = float(problem.remedy.split("gpus = ")[1].split()[0])
        assert gpu_memory_problem(Resources(gpus=offered), each, total) is None


def test_the_dry_run_trains_the_studys_own_task() -> None:
    task = {"dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": 1}
    study = parse_study({"name": "s", "task": task, "schedules": {"fixed": {}}}, "test")
    assert peak_bytes(study, load_data(study.task, 0, None), torch.device("cpu")) == 0
