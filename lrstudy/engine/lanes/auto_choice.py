"""The choice of lanes for a study: the number that the study sets, or the number that a fixed rule gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lrstudy.engine.lanes.eligibility import neighbours_matter, why_not
from lrstudy.engine.lanes.lane_count import rule_of
from lrstudy.tasks import TaskData

if TYPE_CHECKING:  # a GPU machine that only trains may lack pydantic
    from lrstudy.spec import Study


@dataclass(frozen=True, slots=True)
class LaneChoice:
    """The largest number of trials that share a worker (0: each runs alone), and the reason."""

    lanes: int
    reason: str


def choose_lanes(study: Study, data: TaskData | None) -> LaneChoice:
    """Choose the lanes of a whole study; the machine's load and speed have no influence.

    A bitwise comparison also decides: its result may differ between kinds of processors, as their arithmetic
    does, but is the same each time on one machine.
    """
    requested = study.resources.lanes
    if data is None:
        return LaneChoice(0, "a user's training function runs alone")
    if requested == 0:
        return LaneChoice(0, "switched off by resources.lanes = 0")
    if study.resources.gpus > 0:
        # The rule's limits and the comparison of bits come from CPUs. ``LaneGroup`` trains on a GPU, with a
        # captured step; what it gains there is to be measured first (tests/bench/gpu.py).
        return LaneChoice(0, "trials on a GPU are not run in lanes")
    threads = torch.get_num_threads()
    torch.set_num_threads(study.resources.cpus)
    try:
        return _by_rule(study, data) if requested == "auto" else _as_requested(study, data, requested)
    except Exception as error:  # noqa: BLE001 - after any error the study runs without lanes
        return LaneChoice(0, f"a trial in lanes raised {type(error).__name__}: {error}")
    finally:
        torch.set_num_threads(threads)


def _by_rule(study: Study, data: TaskData) -> LaneChoice:
    rule = rule_of(study, data)
    reason = None
    if rule.lanes:  # else there is nothing to try
        reason = why_not(study, data, _kinds(study))
        if reason is None and neighbours_matter(study, data):
            reason = "the last digits of a trial would depend on its neighbours in a group"
    return LaneChoice(rule.lanes, rule.reason) if reason is None else LaneChoice(0, reason)


def _as_requested(study: Study, data: TaskData, lanes: int) -> LaneChoice:
    reason = why_not(study, data, _kinds(study))
    if reason is not None:
        return LaneChoice(0, reason)
    reason = "as asked for"
    if neighbours_matter(study, data):
        reason += "; the last digits of a trial may depend on its neighbours in a group"
    return LaneChoice(lanes, reason)


def _kinds(study: Study) -> list[str]:
    return [schedule.kind for schedule in study.schedules]
