"""Lanes: trials of one small model trained side by side in one process, their parameters stacked."""

from lrstudy.engine.lanes.auto_choice import LaneChoice, choose_lanes
from lrstudy.engine.lanes.eligibility import why_not
from lrstudy.engine.lanes.lane_count import Rule, rule_of
from lrstudy.engine.lanes.lane_group import LaneGroup
from lrstudy.engine.lanes.step_time import seconds_per_step

__all__ = ["LaneChoice", "LaneGroup", "Rule", "choose_lanes", "rule_of", "seconds_per_step", "why_not"]
