"""The study's error budget: which share of 5% the primary target has, and which the other questions.

The primary target carries the verdict: its comparisons share 4% (Holm over the schedules). All others, which
are those at the other targets and of the values at the end, share 1% (Holm over schedules and questions). A
study with one question gives it the whole 5%.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from lrstudy.analysis.intervals import holm

ALPHA: Final = 0.05
PRIMARY_SHARE: Final = 0.8
PRIMARY_LEVEL: Final = ALPHA * PRIMARY_SHARE
END: Final = "end"

# A target, or END for the value at the end; and a schedule.
Question: TypeAlias = float | str
Comparison: TypeAlias = tuple[Question, str]


def primary_of(named: float | None, targets: Sequence[float], *, higher_is_better: bool) -> float | None:
    """Return the target that carries the verdict: the ``named`` one if it is listed, else the hardest."""
    if named in targets:
        return named
    return (max if higher_is_better else min)(targets, default=None)


def shares(questions: Sequence[Question], primary: Question | None) -> dict[Question, float]:
    """Return each question's share of the error: that of its family.

    >>> shares([0.95, 0.97, END], 0.97)
    {0.95: 0.2, 0.97: 0.8, 'end': 0.2}
    """
    if primary not in questions or len(set(questions)) == 1:
        return dict.fromkeys(questions, 1.0)
    return {each: PRIMARY_SHARE if each == primary else round(1 - PRIMARY_SHARE, 12) for each in questions}


def adjusted(
    p_values: Mapping[Comparison, float | None], primary: Question | None
) -> dict[Comparison, float | None]:
    """Return p-values after Holm in their family, over its share: at most 0.05 where they reject.

    The chance of any false rejection in the study is at most 0.05, under any dependence.

    >>> found = adjusted({(0.97, "step"): 0.01, (0.97, "cosine"): 0.03, (0.95, "step"): 0.01}, 0.97)
    >>> {name: round(p, 4) for name, p in found.items()}
    {(0.97, 'step'): 0.025, (0.97, 'cosine'): 0.0375, (0.95, 'step'): 0.05}
    """
    share = shares([question for question, _ in p_values], primary)
    found: dict[Comparison, float | None] = dict.fromkeys(p_values)
    for family in ([c for c in p_values if c[0] == primary], [c for c in p_values if c[0] != primary]):
        for comparison, p in zip(family, holm([p_values[c] for c in family]), strict=True):
            found[comparison] = None if p is None else min(1.0, p / share[comparison[0]])
    return found
