"""Studies on Ray Tune: the only room that imports Ray."""

from lrstudy.tuning.prepare import Prepared, prepare
from lrstudy.tuning.runner import Progress, ScheduleProgress, StudyRun

__all__ = ["Prepared", "Progress", "ScheduleProgress", "StudyRun", "prepare"]
