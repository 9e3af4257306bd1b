"""Building a model by name, the same for the same seed."""

from lrstudy.tasks.models.model_registry import build_model, count_parameters

__all__ = ["build_model", "count_parameters"]
