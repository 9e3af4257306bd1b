"""From a kind and its parameters to a schedule at work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrstudy.catalog import Component
from lrstudy.catalog.moved_options import flat_moves
from lrstudy.catalog.polyak_schedule import POLYAK
from lrstudy.catalog.schedule_kinds import SCHEDULES
from lrstudy.errors import Problem, SchedulerError, did_you_mean
from lrstudy.schedules.competitors import COMPETITORS
from lrstudy.schedules.curve_schedule import CurveSchedule
from lrstudy.schedules.curve_shapes import KINDS
from lrstudy.schedules.lipschitz import LipschitzSchedule
from lrstudy.schedules.option_moves import MovingOptions, check_moves, split_moves
from lrstudy.schedules.polyak import PolyakSchedule
from lrstudy.schedules.protocol import Schedule, ScheduleContext
from lrstudy.schedules.user_schedules import build_own


def build_schedule(kind: str, params: Mapping[str, Any], context: ScheduleContext) -> Schedule:
    """Build a schedule and set the rate of the first step.

    ``kind`` is a built-in one or ``"module:attribute"`` (see ``user_schedules``). ``params`` are concrete
    values; those left out take the catalog's defaults. Those of ``catalog.moved_options`` move momentum and
    weight decay beside the rate; the tables of a study file are accepted too. Raises ``SchedulerError`` with
    every problem at once.
    """
    component = None if ":" in kind else SCHEDULES.get(kind)
    if component is None and ":" not in kind:
        hint = did_you_mean(kind, sorted(SCHEDULES)) + ' Your own: "module:attribute".'
        raise SchedulerError(Problem("schedule", "kind", "is not a schedule", hint, kind))
    params = dict(flat_moves(params, own=component is None))
    check_moves(kind, component, params)
    own, moves = split_moves(params)
    schedule = _build(kind, component, own, context)
    if not moves:
        return schedule
    try:
        return MovingOptions(kind, schedule, moves, context.total_steps)
    except SchedulerError:
        schedule.close()
        raise


def _build(
    kind: str, component: Component | None, params: Mapping[str, Any], context: ScheduleContext
) -> Schedule:
    if component is None:
        return build_own(kind, params, context)
    complete = complete_params(component, params)
    if kind in KINDS:
        return CurveSchedule(kind, KINDS[kind], complete, context)
    if kind in COMPETITORS:
        return COMPETITORS[kind](complete, context)
    if kind == POLYAK.name:
        return PolyakSchedule(complete, context)
    return LipschitzSchedule(complete, context)


def complete_params(component: Component, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a component, defaults filled in; raises ``SchedulerError`` for unusable."""
    problems = list(component.problems(params, f"schedule {component.name}", "is not one of its parameters"))
    if problems:
        raise SchedulerError(problems)
    return component.complete(params)
