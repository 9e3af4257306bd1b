"""The clock of an imported study: what its times are counted in, and up to where its runs are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lrstudy.errors import InputError, Problem
from lrstudy.rules.clocks import CLOCKS
from lrstudy.store.recorded_run import RecordedRun

_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class StudyClock:
    """The clock of targets and verdicts, and the length of a run in the study's own clock."""

    judged: str
    length_clock: str
    length: int


def clock_of_runs(study: str, runs: Sequence[RecordedRun], wanted: str | None) -> StudyClock:
    """Return the clock that was asked for, else epochs where runs end with one, else the first that all have.

    Raises ``InputError`` for a clock that some evaluation lacks, and for runs that have none in common.
    """
    ends = {clock: _ends(runs, clock) for clock in CLOCKS}
    known = [clock for clock in CLOCKS if ends[clock] is not None]
    whole = "epochs" in known and all(abs(end - round(end)) < _ROUNDING for end, _, _ in ends["epochs"] or ())
    if wanted is not None and wanted not in known:
        remedy = f"Choose a clock that all have: {', '.join(known) or 'there is none'}"
        run = next(run for run in runs if run.times(wanted) is None)
        message = f"does not rise from one evaluation to the next in {run.where}, or is not known at each"
        raise InputError(Problem(study, "--clock", message, remedy, wanted))
    if not known:
        remedy = "Give every file the same clock: a column of epochs, steps, samples, tokens or seconds"
        raise InputError(Problem(study, "", "has no clock that rises in every run", remedy))
    usual = known if whole else [*(clock for clock in known if clock != "epochs"), "epochs"]
    judged = wanted or usual[0]
    if judged == "epochs":
        own = "epochs" if whole or "steps" not in known else "steps"
    elif whole and judged != "steps":
        own = "epochs"
    else:
        own = "steps" if "steps" in known else judged
    return StudyClock(judged, own, max(1, int(_compared(ends[own] or ()) + _ROUNDING)))


_End = tuple[float, float, bool]


def _ends(runs: Sequence[RecordedRun], clock: str) -> list[_End] | None:
    """Return each run's last time, the gap before it, and True if it diverged; None without the clock."""
    found: list[_End] = []
    for run in runs:
        times: Any = run.times(clock)
        if times is None:
            return None
        before = float(times[-2]) if len(times) > 1 else 0.0
        found.append((float(times[-1]), float(times[-1]) - before, run.diverged is not None))
    return found


def _compared(ends: Sequence[_End]) -> float:
    """Return the time up to which the runs that trained to their end are known.

    Runs that are evaluated at other times end at other times: one whose next evaluation would come after the
    last of all did train to its end.
    """
    finished = [(end, gap) for end, gap, diverged in ends if not diverged] or [(e, g) for e, g, _ in ends]
    last = max(end for end, _ in finished)
    return min(end for end, gap in finished if end + gap > last * (1 + _ROUNDING))
