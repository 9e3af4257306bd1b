"""Faults told apart, and what each may cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from ray.exceptions import (
    ActorDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from lrstudy.engine.trial import TrialConfig
from lrstudy.records import Phase
from lrstudy.spec import Faults
from lrstudy.tuning.driver.retries import Retries, loss_text
from lrstudy.tuning.fault import Fault, RankError, fault_in_rank, fault_of
from lrstudy.tuning.job import Job
from lrstudy.tuning.resource_request import exclusive_request
from lrstudy.tuning.worker.process import users_traceback

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


def test_a_rank_whose_peer_has_ended_is_lost_with_it() -> None:
    assert (
        fault_in_rank(RuntimeError("[pair.cc:561] Connection closed by peer [127.0.0.1]:1235")) is Fault.LOST
    )
    assert fault_in_rank(RuntimeError("shapes differ")) is Fault.ERROR
    assert fault_in_rank(MemoryError()) is Fault.MEMORY
    error = RankError(1, Fault.MEMORY, "a traceback")
    assert fault_of(error) is Fault.MEMORY
    assert users_traceback(error) == "in rank 1:\na traceback"


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
    told = retries.failure_text(fourth, Fault.MEMORY, "the last")
    assert told.splitlines()[0] == "the last"
    assert "attempt 4, alone: out of memory: MemoryError: no room" in told
    assert Job.from_config(fourth.to_config()) == fourth


def test_a_worker_lost_twice_gets_its_machine_to_itself() -> None:
    # A kernel that kills a process for its memory leaves no other trace.
    retries, job = Retries(Faults(lost_node_retries=3)), JOB
    ways = []
    while retries.again(job, Fault.LOST, "killed"):
        job = retries.next() or job
        ways.append(job.alone)
    assert ways == [False, True, True]
    assert "see dmesg" in retries.failure_text(job, Fault.LOST, "lost worker: killed")
    last = Retries(Faults(lost_node_retries=1))
    assert last.again(JOB, Fault.LOST, "killed")
    assert (last.next() or JOB).alone, "the last attempt"


def test_a_stuck_group_is_tried_one_by_one_and_a_stuck_trial_not_again() -> None:
    retries = Retries(Faults())
    assert retries.again(JOB, Fault.STUCK, "no epoch for 9 s", shared=True)
    job = retries.next()
    assert job is not None
    assert job.solo
    assert not job.alone
    assert Job.from_config(job.to_config()) == job
    assert not retries.again(job, Fault.STUCK, "no epoch for 9 s")


def test_what_tune_had_in_its_hands_can_be_handed_out_again() -> None:
    retries = Retries(Faults())
    first, second, third = (replace(JOB, config=replace(JOB.config, trial_id=f"t-{i}")) for i in range(3))
    for job in (first, second, third):
        retries.hand_out(job)
    retries.end(second)
    assert retries.again(third, Fault.LOST, "killed")
    assert retries.take_back() == [first]
    waiting = [retries.next(), retries.next(), retries.next()]
    assert [job.config.trial_id for job in waiting if job is not None] == ["t-2", "t-0"]
    assert retries.take_back() == [replace(third, attempt=2), first], "both are in its hands again"


def test_of_a_killed_worker_only_the_first_line_of_rays_figures_is_told() -> None:
    said = "1 worker(s) were killed due to the node running low on memory.\nEviction Stats:\nmore"
    told = loss_text(RayActorError(error_msg=f"OutOfMemoryError: {said}"))
    assert told.startswith("out of memory: OutOfMemoryError: 1 worker(s)")
    assert "Eviction" not in told
    assert loss_text(None) == "lost worker: no cause given"


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_an_exception_without_a_text_is_an_error_of_the_code() -> None:
    assert fault_of(MuteError()) is Fault.ERROR


def node(cpus: float, gpus: float = 0.0, *, alive: bool = True) -> dict[str, object]:
    return {"Alive": alive, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


def test_alone_leaves_no_room_beside_it() -> None:
    assert exclusive_request({"CPU": 1, "GPU": 0}, [node(4), node(16), node(64, alive=False)])["CPU"] == 16
    shared = exclusive_request({"CPU": 2, "GPU": 0.25}, [node(64), node(8, 4)])
    assert shared == {"CPU": 8, "GPU": 1}
    assert exclusive_request({"CPU": 2, "GPU": 1.5}, [node(8, 4)])["GPU"] == 2
    assert exclusive_request({"CPU": 2, "GPU": 1}, [node(4)]) == {"CPU": 2, "GPU": 1}
