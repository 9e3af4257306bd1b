"""Faults told apart, and what each may cost."""

from __future__ import annotations

import pytest
import torch
from ray.exceptions import (
    ActorDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayTaskError,
    WorkerCrashedError,
)

from lrstudy.records import Phase
from lrstudy.spec import Faults
from lrstudy.training import TrialConfig
from lrstudy.tuning.faults import Fault, Job, Retries, alone, fault_of

JOB = Job(TrialConfig("fixed-tune-000", Phase.TUNE, "fixed", "fixed", {"lr": 0.1}, 3))


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("step", "a traceback", cause)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ActorDiedError(), Fault.LOST),
        (NodeDiedError("gone"), Fault.LOST),
        (WorkerCrashedError(), Fault.LOST),
        (task_error(NodeDiedError("gone")), Fault.LOST),
        (None, Fault.LOST),
        (OutOfMemoryError("Task was killed due to the node running low on memory."), Fault.MEMORY),
        (MemoryError(), Fault.MEMORY),
        (task_error(MemoryError()), Fault.MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory."), Fault.MEMORY),
        (ZeroDivisionError("x"), Fault.ERROR),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), Fault.ERROR),
        (task_error(ValueError("x")), Fault.ERROR),
    ],
)
def test_what_an_exception_stands_for(error: Exception | None, fault: Fault) -> None:
    assert fault_of(error) is fault


def test_torch_says_on_a_cpu_that_memory_is_out() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert fault_of(caught.value) is Fault.MEMORY


def test_each_fault_has_its_own_budget() -> None:
    retries = Retries(Faults(lost_node_retries=2, memory_retries=1, error_retries=0))
    job = JOB
    for fault, granted in [
        (Fault.LOST, True),
        (Fault.MEMORY, True),
        (Fault.LOST, True),
        (Fault.MEMORY, False),
    ]:
        assert retries.again(job, fault, f"{fault} happened") is granted
        job = retries.next() or job
    assert job.attempt == 4
    assert retries.next() is None
    assert not Retries(Faults()).again(JOB, Fault.ERROR, "")
    assert Retries(Faults(error_retries=1)).again(JOB, Fault.ERROR, "")


def test_out_of_memory_is_tried_alone_from_then_on() -> None:
    retries = Retries(Faults())
    retries.again(JOB, Fault.LOST, "")
    second = retries.next()
    assert second is not None
    assert not second.alone
    retries.again(second, Fault.MEMORY, "no room")
    third = retries.next()
    assert third is not None
    assert third.alone
    retries.again(third, Fault.LOST, "")
    fourth = retries.next()
    assert fourth is not None
    assert fourth.alone
    assert not retries.again(fourth, Fault.MEMORY, "Traceback\nMemoryError: no room")
    told = retries.told(fourth, Fault.MEMORY, "the last")
    assert told.splitlines()[0] == "the last"
    assert "attempt 4, alone: out of memory: MemoryError: no room" in told
    assert Job.from_config(fourth.to_config()) == fourth


def node(cpus: float, gpus: float = 0.0, *, alive: bool = True) -> dict[str, object]:
    return {"Alive": alive, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


def test_alone_leaves_no_room_beside_it() -> None:
    assert alone({"CPU": 1, "GPU": 0}, [node(4), node(16), node(64, alive=False)])["CPU"] == 16
    shared = alone({"CPU": 2, "GPU": 0.25}, [node(64), node(8, 4)])
    assert shared == {"CPU": 8, "GPU": 1}
    assert alone({"CPU": 2, "GPU": 1.5}, [node(8, 4)])["GPU"] == 2
    assert alone({"CPU": 2, "GPU": 1}, [node(4)]) == {"CPU": 2, "GPU": 1}
