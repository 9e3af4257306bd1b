"""The messages between the processes of a trial with several workers and the trial's own process.

A mailbox is an actor: rank 0 leaves a message and waits for the answer, the trial's process reads in order.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray

from lrstudy.engine.function.rank_training import Answer
from lrstudy.records import EvaluationRecord
from lrstudy.tuning.fault import Fault
from lrstudy.tuning.worker.mailbox_actor import MailboxActor


@dataclass(frozen=True, slots=True)
class Started:
    """Rank 0 is about to train, on this device."""

    device: str


@dataclass(frozen=True, slots=True)
class RankPause:
    """All ranks wait: with an evaluation, or without. ``safe``: they may be saved."""

    row: EvaluationRecord | None
    safe: bool
    keeps: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class RankState:
    """The checkpoint of all ranks comes with this message, unless ``problem`` says why it cannot."""

    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Restarted:
    """The checkpoint does not fit: all ranks have started again."""

    cause: str


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the run's log."""

    text: str


@dataclass(frozen=True, slots=True)
class RankFailed:
    """The function raised in one rank."""

    rank: int
    fault: Fault
    text: str


@dataclass(frozen=True, slots=True)
class RanksEnded:
    """All processes have ended."""


Message = Started | RankPause | RankState | Restarted | Note | RankFailed | RanksEnded


class Mailbox:
    """A handle of the actor; every method raises a ``RayError`` once the actor is gone."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    @classmethod
    def create(cls) -> Mailbox:
        """Start the actor; it ends with this process."""
        make: Callable[..., Any] = ray.remote(num_cpus=0)(MailboxActor).remote
        return cls(make())

    def put(self, message: Message) -> None:
        """Leave a message."""
        ray.get(self._actor.put.remote(_sealed(message)))

    def exchange(self, message: Message, *attached: ray.ObjectRef[Any]) -> Answer:
        """Leave a message, with references to large values, and wait for an answer."""
        return Answer(ray.get(self._actor.exchange.remote(_sealed(message, *attached))))

    def next(self) -> tuple[Message, tuple[ray.ObjectRef[Any], ...]]:
        """Wait for the next message; return it with its references."""
        content, attached = ray.get(self._actor.next.remote())
        message: Message = pickle.loads(content)  # noqa: S301 - from a process of this run
        return message, attached

    def answer(self, answer: Answer) -> None:
        """Leave the answer that rank 0 waits for, or will wait for."""
        ray.get(self._actor.answer.remote(answer.value))

    def close(self) -> None:
        """End the actor."""
        ray.kill(self._actor)


def _sealed(message: Message, *attached: ray.ObjectRef[Any]) -> tuple[bytes, tuple[ray.ObjectRef[Any], ...]]:
    """Return a message as the actor passes it on, without importing what it is made of."""
    return pickle.dumps(message), attached
