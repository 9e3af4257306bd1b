"""Parameters that several learning-rate schedules share."""

from __future__ import annotations

from typing import Final

from lrstudy.catalog.parameter import RANGE_TEST, Parameter


def rate(name: str, doc: str) -> Parameter:
    """A rate above 0, whose range a range test may find; by default the optimizer's ``lr``."""
    return Parameter(
        name,
        "float",
        f"{doc}; the optimizer's own lr if not given",
        None,
        low=0.0,
        open_low=True,
        text_choices=(RANGE_TEST,),
    )


def ratio(name: str, doc: str, default: float, *, open_low: bool = False) -> Parameter:
    """A fraction in [0, 1), or in (0, 1) with ``open_low``."""
    return Parameter(name, "float", doc, default, low=0.0, high=1.0, open_low=open_low, open_high=True)


LR: Final = rate("lr", "Rate at the start, above 0")
_WARMUP_DOC: Final = "Fraction of the training length, in [0, 1), over which the rate rises linearly"
WARMUP_FIRST: Final = ratio(
    "warmup", f"{_WARMUP_DOC} to the curve's first value; the curve fills the rest", 0.0
)
WARMUP_OVER: Final = ratio("warmup", f"{_WARMUP_DOC} to the schedule's, which already runs", 0.0)
