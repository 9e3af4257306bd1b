"""The process of one rank of a trial with several workers, which Ray Train starts."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import ray
import torch

from lrstudy.engine.function.rank_training import Answer, train_rank
from lrstudy.engine.function.start_function import settings_of, train_code
from lrstudy.engine.trial import State, TrialConfig
from lrstudy.records import EvaluationRecord
from lrstudy.rules.user_modules import load as load_code
from lrstudy.safe_text import describe, safe_text
from lrstudy.spec.searched_values import study_of_trial
from lrstudy.tuning.fault import fault_in_rank
from lrstudy.tuning.worker.mailbox import (
    Mailbox,
    Note,
    RankFailed,
    RankPause,
    RankState,
    Restarted,
    Started,
)
from lrstudy.tuning.worker.process import Payload, device_name, load, users_traceback


@dataclass(frozen=True, slots=True)
class RankStart:
    """The start of every rank of a trial; ``packed`` refers to the checkpoint, if there is one."""

    payload: Payload
    config: TrialConfig
    mailbox: Mailbox
    packed: tuple[ray.ObjectRef[bytes]] | None


class _MailboxDesk:
    """The way from a rank to its trial's group."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def pause(self, row: EvaluationRecord | None, *, safe: bool, keeps: bool, reason: str | None) -> Answer:
        return self._mailbox.exchange(RankPause(row, safe, keeps, reason))

    def save(self, state: State) -> Answer:
        try:
            packed = pack(state)
        except Exception as error:  # noqa: BLE001 - a user's object may not be picklable
            return self._mailbox.exchange(RankState(f"no checkpoint: {describe(error)}"))
        return self._mailbox.exchange(RankState(), ray.put(packed))

    def restart(self, cause: str) -> None:
        self._mailbox.put(Restarted(safe_text(cause)))

    def note(self, text: str) -> None:
        self._mailbox.put(Note(safe_text(text)))


def run_rank(config: dict[str, Any]) -> None:
    """Train one rank; Ray Train has set up torch's process group. An exception ends all ranks."""
    from ray.train import get_context
    from ray.train.torch import get_device

    start: RankStart = config["start"]
    context = get_context()
    rank = context.get_world_rank()
    try:
        study, _ = load(start.payload)
        study = study_of_trial(study, start.config.schedule, start.config.params)
        task = study.function
        assert task is not None
        device = get_device()
        if rank == 0:
            start.mailbox.put(Started(device_name(device)))
        train_rank(
            load_code(train_code(task)),
            settings_of(study, task, start.config, device),
            _MailboxDesk(start.mailbox),
            None if start.packed is None else unpack(ray.get(start.packed[0])),
            rank=rank,
            world_size=context.get_world_size(),
        )
    except BaseException as error:
        start.mailbox.put(RankFailed(rank, fault_in_rank(error), users_traceback(error)))
        raise


def pack(state: State) -> bytes:
    """Return a checkpoint as bytes, which a process without its devices can unpack."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(packed: bytes) -> State:
    """Return the checkpoint of ``pack``, with its tensors on the CPU."""
    # It comes from another process of this run; files are loaded with ``weights_only``.
    state: State = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=False)
    return state
