"""Learning-rate schedules for a training loop, over ``torch.optim.lr_scheduler``."""

from lrstudy.schedules.contract import Measurement, Schedule, ScheduleContext
from lrstudy.schedules.registry import build_schedule

__all__ = ["Measurement", "Schedule", "ScheduleContext", "build_schedule"]
