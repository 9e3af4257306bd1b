"""Lanes: trials of one small model trained side by side in one process, their parameters stacked."""

from lrstudy.lanes.choice import LaneChoice, choose_lanes, seconds_per_step
from lrstudy.lanes.group import LaneGroup, why_not
from lrstudy.lanes.rule import Rule, rule_of

__all__ = ["LaneChoice", "LaneGroup", "Rule", "choose_lanes", "rule_of", "seconds_per_step", "why_not"]
