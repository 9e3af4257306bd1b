"""Convergence-speed statistics of a study: from a store to a frozen ``Summary``."""

from lrstudy.analysis.analyse import analyse
from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import Summary
from lrstudy.analysis.verdict import detectable_speedup, fewest_seeds

__all__ = ["Interval", "Summary", "analyse", "detectable_speedup", "fewest_seeds"]
