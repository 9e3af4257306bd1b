"""The check that all ranks of a trial report at the same steps, before they exchange what was reported.

A rank that reports where another does not would wait for it until a limit ends the trial: the other is in a
later step, where it waits in its turn. So each rank notes its step in the store of torch's process group, and
the rank that waits looks for one that cannot come any more. No time decides that.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from torch.distributed import PrefixStore  # type: ignore[attr-defined]

from lrstudy.compat.torch import default_store
from lrstudy.engine.function.reports import refusal
from lrstudy.errors import ContractError

# Between two looks at the other ranks, and two notes of a rank.
_LOOK_SECONDS: Final = 0.5
_REMEDY: Final = (
    "Let every rank call trial.report at the same steps, not under `if trial.rank == 0`, and give all ranks "
    "equally many batches (DistributedSampler)."
)
# All ranks of a process group train the same trials in order, so that they count alike.
_number = itertools.count()


class Meeting:
    """One rank's side, for one call of the function; ``step`` is called for its step, from another thread."""

    def __init__(self, rank: int, world_size: int, step: Callable[[], int]) -> None:
        store = default_store()
        self._store: Any = None if store is None else PrefixStore(f"lrstudy {next(_number)}", store)
        self._rank, self._others = rank, [other for other in range(world_size) if other != rank]
        self._step = step
        self._reports = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._note_steps, daemon=True, name="steps of a rank")
        if self._store is not None:
            self._thread.start()

    def report(self, step: int) -> None:
        """Wait for the other ranks; raises ``ContractError`` for one that does not report at this step."""
        if self._store is None:
            return
        self._reports += 1
        number = self._reports
        self._store.set(_report(number, self._rank), str(step))
        wanted = [_report(number, other) for other in self._others]
        while True:
            try:
                self._store.wait(wanted, timedelta(seconds=_LOOK_SECONDS))
                break
            except RuntimeError:  # it is no TimeoutError; a lost store raises again in ``check``
                for other, key in zip(self._others, wanted, strict=True):
                    if not self._store.check([key]) and (said := self._passed(other, step)):
                        raise self._refusal(step, said) from None
        for other, key in zip(self._others, wanted, strict=True):
            if (theirs := int(self._store.get(key))) != step:
                raise self._refusal(step, f"rank {other} makes it at step {theirs}")

    def end(self, *, returned: bool) -> None:
        """Stop the notes; ``returned``: the function has come to its end."""
        self._ended.set()
        if self._store is not None:
            self._thread.join()
            if returned:
                with contextlib.suppress(RuntimeError):  # the rank that holds the store has ended, too
                    self._store.set(_place(self._rank), f"end {self._reports}")

    def _passed(self, other: int, step: int) -> str:
        """Return the place of a rank that is beyond this report; empty if it may still come."""
        if not self._store.check([_place(other)]):
            return ""
        place, reports = self._store.get(_place(other)).decode().split()
        if int(reports) >= self._reports or (place != "end" and int(place) <= step):
            return ""
        where = "has returned" if place == "end" else f"is in step {place}"
        return f"rank {other} {where}, with {reports} reports"

    def _refusal(self, step: int, said: str) -> ContractError:
        own = f"rank {self._rank} makes report {self._reports} at step {step}"
        return refusal(f"the ranks do not report alike: {own}, and {said}", _REMEDY)

    def _note_steps(self) -> None:
        with contextlib.suppress(RuntimeError):
            while not self._ended.wait(_LOOK_SECONDS):
                step = self._step()  # read before the number of reports, so that it may only be too low
                self._store.set(_place(self._rank), f"{step} {self._reports}")


def _report(number: int, rank: int) -> str:
    return f"report {number} of {rank}"


def _place(rank: int) -> str:
    return f"place of {rank}"
