"""Smith's learning-rate range test: one short training whose rate rises at every step."""

from lrstudy.range_test.bounds import MARGIN, RULE, Bounds, suggest_bounds
from lrstudy.range_test.sweep import RangeCurve, Sweep, SweepPlan, plan_sweep

__all__ = ["MARGIN", "RULE", "Bounds", "RangeCurve", "Sweep", "SweepPlan", "plan_sweep", "suggest_bounds"]
