"""Learning-rate schedules for a training loop, over ``torch.optim.lr_scheduler``."""

from lrstudy.schedules.contract import Measurement, Schedule, ScheduleContext
from lrstudy.schedules.curve import Curve, curve, has_curve, rates
from lrstudy.schedules.registry import build_schedule

__all__ = [
    "Curve",
    "Measurement",
    "Schedule",
    "ScheduleContext",
    "build_schedule",
    "curve",
    "has_curve",
    "rates",
]
