"""Lanes: trials of one small model trained side by side in one process, their parameters stacked."""

from lrstudy.lanes.choice import LaneChoice, choose_lanes, seconds_per_step
from lrstudy.lanes.group import LaneGroup, why_not

__all__ = ["LaneChoice", "LaneGroup", "choose_lanes", "seconds_per_step", "why_not"]
