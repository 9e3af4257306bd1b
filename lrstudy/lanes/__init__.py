"""Lanes: trials of one small model trained side by side in one process, their parameters stacked."""

from lrstudy.lanes.group import LaneGroup, why_not

__all__ = ["LaneGroup", "why_not"]
