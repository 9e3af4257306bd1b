"""The choice of lanes for a study: what the study asks for, or what a fixed rule gives."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lrstudy.engine.lanes.lane_count import rule_of
from lrstudy.engine.lanes.lane_group import why_not
from lrstudy.engine.lanes.neighbour_bits import neighbours_matter
from lrstudy.spec import Study
from lrstudy.tasks import TaskData


@dataclass(frozen=True, slots=True)
class LaneChoice:
    """The largest number of trials that share a worker (0: each alone), and the reason."""

    lanes: int
    reason: str


def choose_lanes(study: Study, data: TaskData) -> LaneChoice:
    """Decide for a whole study, by nothing that a machine's load or speed could change.

    A try-out of the bits has a say as well: its answer may differ between kinds of processors, as their
    arithmetic does, but is the same each time on one machine.
    """
    asked = study.resources.lanes
    if asked == 0:
        return LaneChoice(0, "switched off by resources.lanes = 0")
    if study.resources.gpus > 0:
        return LaneChoice(0, "trials on a GPU are not run in lanes")
    threads = torch.get_num_threads()
    torch.set_num_threads(study.resources.cpus)
    try:
        return _ruled(study, data) if asked == "auto" else _asked(study, data, asked)
    except Exception as error:  # noqa: BLE001 - whatever it is, the study then runs as it always did
        return LaneChoice(0, f"a trial of it in lanes raised {type(error).__name__}: {error}")
    finally:
        torch.set_num_threads(threads)


def _ruled(study: Study, data: TaskData) -> LaneChoice:
    rule = rule_of(study, data)
    reason = None
    if rule.lanes:  # else nothing of it needs to be tried
        reason = why_not(study, data, _kinds(study))
        if reason is None and neighbours_matter(study, data):
            reason = "the last digits of a trial would depend on its neighbours in a group"
    return LaneChoice(rule.lanes, rule.reason) if reason is None else LaneChoice(0, reason)


def _asked(study: Study, data: TaskData, lanes: int) -> LaneChoice:
    reason = why_not(study, data, _kinds(study))
    if reason is not None:
        return LaneChoice(0, reason)
    reason = "as asked for"
    if neighbours_matter(study, data):
        reason += "; the last digits of a trial may depend on its neighbours in a group"
    return LaneChoice(lanes, reason)


def _kinds(study: Study) -> list[str]:
    return [schedule.kind for schedule in study.schedules]
