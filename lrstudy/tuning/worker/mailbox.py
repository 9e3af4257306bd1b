"""The messages between the processes of a trial with several workers and the trial's own process.

A mailbox is an actor: rank 0 leaves a message and waits for the answer, the trial's process reads in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray

from lrstudy.engine.function.rank_training import Answer
from lrstudy.records import EvaluationRecord
from lrstudy.tuning.fault import Fault


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
    """The checkpoint of all ranks, packed; None if it cannot be packed, with the cause in ``note``."""

    packed: tuple[ray.ObjectRef[bytes]] | None
    note: str = ""


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


class _Box:
    """The actor: one queue in each direction."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Answer] = asyncio.Queue()

    async def put(self, message: Message) -> None:
        await self._messages.put(message)

    async def exchange(self, message: Message) -> Answer:
        await self._messages.put(message)
        return await self._answers.get()

    async def next(self) -> Message:
        return await self._messages.get()

    async def answer(self, answer: Answer) -> None:
        await self._answers.put(answer)


class Mailbox:
    """A handle of the actor; every method raises a ``RayError`` once the actor is gone."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    @classmethod
    def create(cls) -> Mailbox:
        """Start the actor; it ends with this process."""
        make: Callable[..., Any] = ray.remote(num_cpus=0)(_Box).remote
        return cls(make())

    def put(self, message: Message) -> None:
        """Leave a message."""
        ray.get(self._actor.put.remote(message))

    def exchange(self, message: Message) -> Answer:
        """Leave a message and wait for an answer."""
        answer: Answer = ray.get(self._actor.exchange.remote(message))
        return answer

    def next(self) -> Message:
        """Wait for the next message."""
        message: Message = ray.get(self._actor.next.remote())
        return message

    def answer(self, answer: Answer) -> None:
        """Leave the answer that rank 0 waits for, or will wait for."""
        ray.get(self._actor.answer.remote(answer))

    def close(self) -> None:
        """End the actor."""
        ray.kill(self._actor)
