"""The actor of a mailbox: two queues. Its process imports no torch, and so starts fast."""

from __future__ import annotations

import asyncio
from typing import Any


class MailboxActor:
    """Passes on what it is given without looking into it."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()

    async def put(self, message: Any) -> None:
        """Leave a message."""
        await self._messages.put(message)

    async def exchange(self, message: Any) -> Any:
        """Leave a message and return the next answer."""
        await self._messages.put(message)
        return await self._answers.get()

    async def next(self) -> Any:
        """Return the next message."""
        return await self._messages.get()

    async def answer(self, answer: Any) -> None:
        """Leave an answer."""
        await self._answers.put(answer)
