"""Studies on Ray Tune: the only room that imports Ray."""

from lrstudy.tuning.faults import to_retry
from lrstudy.tuning.logs import log_file
from lrstudy.tuning.prepare import Prepared, prepare
from lrstudy.tuning.runner import Progress, ScheduleProgress, StudyRun
from lrstudy.tuning.stopping import request_stop

__all__ = [
    "Prepared",
    "Progress",
    "ScheduleProgress",
    "StudyRun",
    "log_file",
    "prepare",
    "request_stop",
    "to_retry",
]
