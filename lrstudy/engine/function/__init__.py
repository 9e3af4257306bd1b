"""The user's own training function as a trial."""

from lrstudy.engine.function.function_group import FunctionGroup
from lrstudy.engine.function.trial_handle import Trial
from lrstudy.engine.function.trial_settings import Settings
from lrstudy.engine.function.try_training import try_training

__all__ = ["FunctionGroup", "Settings", "Trial", "try_training"]
