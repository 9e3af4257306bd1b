"""Lanes: trials of one small model trained side by side in one process, their parameters stacked."""

from lrstudy.lanes.choice import LaneChoice, choose_lanes
from lrstudy.lanes.group import LaneGroup, why_not
from lrstudy.lanes.rule import Rule, rule_of
from lrstudy.lanes.speed import seconds_per_step

__all__ = ["LaneChoice", "LaneGroup", "Rule", "choose_lanes", "rule_of", "seconds_per_step", "why_not"]
