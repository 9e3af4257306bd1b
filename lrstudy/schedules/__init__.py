"""Learning-rate schedules for a training loop, over ``torch.optim.lr_scheduler``."""

from lrstudy.schedules.curve import Curve, curve, has_curve, rates
from lrstudy.schedules.protocol import Measurement, Schedule, ScheduleContext, WatchingSchedule
from lrstudy.schedules.schedule_registry import build_schedule

__all__ = [
    "Curve",
    "Measurement",
    "Schedule",
    "ScheduleContext",
    "WatchingSchedule",
    "build_schedule",
    "curve",
    "has_curve",
    "rates",
]
