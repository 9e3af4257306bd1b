"""Every built-in schedule, data set, model, loss and optimizer that a study file can name, as data.

``schedules`` and ``tasks`` implement what is declared here; a test holds the two together.
"""

from lrstudy.catalog.parameter import RANGE_TEST, REQUIRED, Component, Parameter

__all__ = ["RANGE_TEST", "REQUIRED", "Component", "Parameter"]
