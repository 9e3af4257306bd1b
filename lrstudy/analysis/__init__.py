"""Convergence-speed statistics of a study: from a store to a frozen ``Summary``."""

from lrstudy.analysis.analyse import analyse
from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import Summary

__all__ = ["Interval", "Summary", "analyse"]
