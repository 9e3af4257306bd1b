"""Signs that a schedule's tuning budget or search space was too small."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrstudy.analysis.trial_table import Trial
from lrstudy.analysis.tried_configurations import Tried, by_replicate, configurations, ranked
from lrstudy.rules.objective import Objective
from lrstudy.rules.search_edges import (
    OUTER,
    End,
    at_end,
    hardly_learned,
    outermost_near,
    place_in,
    trend,
)

# Values that differ by more than this factor, or by the outer part of a range, are far apart.
FAR = 3.0
# With fewer choices the best is at an end too often to mean anything.
FEWEST_CHOICES = 4


# Of several tunings of a schedule, a sign that so large a part of them shows is told.
OFTEN = 1 / 3


@dataclass(frozen=True, slots=True)
class _Sign:
    """A sign in one tuning: its ``kind``, the sentence on it, and one that says it of several tunings."""

    kind: tuple[str, ...]
    sentence: str
    of_several: str


def tuning_warnings(
    name: str, space: Mapping[str, Any], tune: Sequence[Trial], confirm: Sequence[Trial], objective: Objective
) -> list[str]:
    """Sentences on one schedule's tunings, each judged by itself; none when there was nothing to search."""
    confirmed = by_replicate(confirm)
    each = [
        _signs(name, space, trials, confirmed.get(number, []), objective)
        for number, trials in by_replicate(tune).items()
    ]
    if len(each) == 1:
        return [sign.sentence for sign in each[0]]
    counts = Counter(sign.kind for signs in each for sign in signs)
    first = {sign.kind: sign for signs in reversed(each) for sign in signs}
    return [
        f"{name}: in {count} of {len(each)} tunings {first[kind].of_several}"
        for kind, count in counts.items()
        if count >= max(2, OFTEN * len(each))
    ]


def _signs(
    name: str, space: Mapping[str, Any], tune: Sequence[Trial], confirm: Sequence[Trial], objective: Objective
) -> list[_Sign]:
    """Return the signs in one tuning and the confirm runs of its winner."""
    tried = ranked(tune, objective)
    if not space or not tried or tried[0].objective is None:
        return []
    measured = [one for one in tried if one.objective is not None]
    falls = [one.learned for one in measured if one.learned is not None]
    if hardly_learned(falls):
        said = "the training loss of no trial fell by more than a few percent, so luck chose the winner."
        return [_Sign(("idle",), _idle(name, space, measured, max(falls)), said)]
    found = [*_edges(name, space, tried, _noise(confirm), objective), *_rising(name, tune, objective)]
    return found + _winners_curse(name, tried[0], confirm, objective)


def _idle(name: str, space: Mapping[str, Any], measured: Sequence[Tried], fall: float) -> str:
    """Say that luck chose the winner, and towards which end the loss fell faster: there to widen."""
    ways = []
    for parameter, span in space.items():
        pairs = [(one.params[parameter], one.learned) for one in measured if one.learned is not None]
        edge = trend(pairs) if isinstance(span, Mapping) else None
        if edge is not None and not isinstance(span[edge], str):
            move, word = ("raise", "higher") if edge == "high" else ("lower", "lower")
            ways.append(f"It fell faster the {word} {parameter} was: {move} its {edge}, now {span[edge]:g}.")
    sentence = f"{name}: hardly learned: the training loss of no tuning trial fell by more than"
    return " ".join([f"{sentence} {100 * max(fall, 0.0):.2g}%, so luck chose the winner.", *ways])


def _noise(confirm: Sequence[Trial]) -> float:
    """Standard deviation of the objective between runs of one configuration; 0 with fewer than three."""
    values = [trial.objective for trial in confirm if trial.objective is not None]
    return float(np.std(values, ddof=1)) if len(values) >= 3 else 0.0


def _edges(
    name: str, space: Mapping[str, Any], tried: Sequence[Tried], noise: float, objective: Objective
) -> list[_Sign]:
    """Return a sign for each parameter whose best value is at an end of its space, or near it.

    None if a value well inside did as well within the noise: there is then no reason to widen.
    """
    best, warnings = tried[0].params, []
    for parameter, span in space.items():
        value = best.get(parameter)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        values = [one.params[parameter] for one in tried if parameter in one.params]
        ends = _range(span, best, values)
        found = None if ends is None else _edge(span, ends, value, values)
        if ends is None or found is None:
            continue
        tie = tried[0].cost(objective) + noise
        equals = [one.params.get(parameter, value) for one in tried[1:] if one.cost(objective) < tie]
        if any(_far(span, ends, value, other) for other in equals):
            continue
        edge, where = found
        way = f"{'lower' if edge == 'low' else 'raise'} its {edge}"
        if not isinstance(span, Mapping):
            way = f"add a {edge}er choice"
        elif span.get("tested"):
            way = "let the study extend the range of its range test, or give it a range"
        span_words = f"{ends[0]:g} to {ends[1]:g}"
        beyond = f"A better one may be beyond: {way}."
        warnings.append(
            _Sign(
                ("edge", parameter, edge),
                f"{name}: the best {parameter} ({value:.4g}) {where}, {span_words}. {beyond}",
                f"the best {parameter} was at the {edge} end of its space, or the {edge}est that was tried. "
                f"{beyond}",
            )
        )
    return warnings


def _edge(
    span: Any, ends: tuple[float, float], value: float, tried: Sequence[float]
) -> tuple[End, str] | None:
    """The end of its space that the best value is at, or near with nothing tried in between; in words too."""
    low, high = ends
    at: End | None
    if not isinstance(span, Mapping):
        at = "low" if value == low else "high" if value == high else None
        return None if at is None else (at, f"is the {at}est choice of its space")
    place = place_in(low, high, value, log=bool(span.get("log")))
    at, near = at_end(place), None
    # A range that ends at another parameter was not the same for all that were tried.
    if at is None and not isinstance(span["low"], str) and not isinstance(span["high"], str):
        near = outermost_near(place, value, tried)
    edge = at or near
    # Nothing is beyond an end that is another parameter's value.
    if edge is None or isinstance(span[edge], str):
        return None
    if at is not None:
        return edge, f"is at the {edge} end of its space"
    within = f"{100 * (place if near == 'low' else 1 - place):.0f}%"
    return edge, f"is the {edge}est that was tried, {within} from the {edge} end of its space"


def _far(span: Any, ends: tuple[float, float], value: float, other: float) -> bool:
    """Return True if two values are a quarter of the range, or a factor of ``FAR``, apart."""
    if not isinstance(span, Mapping):
        return other != value
    log = bool(span.get("log"))
    if abs(place_in(*ends, other, log=log) - place_in(*ends, value, log=log)) >= OUTER:
        return True
    return log and abs(math.log(other / value)) >= math.log(FAR)


def _range(span: Any, best: Mapping[str, Any], tried: Sequence[Any]) -> tuple[float, float] | None:
    """The ends of what was searched: as declared, or as far beyond as an extension has tried.

    None for what has no ends: choices that are no numbers, or so few that one is at an end anyway.
    """
    if not isinstance(span, Mapping):
        numbers = {one for one in span if isinstance(one, int | float) and not isinstance(one, bool)}
        return (min(numbers), max(numbers)) if len(numbers) == len(span) >= FEWEST_CHOICES else None
    if any(isinstance(span[end], str) for end in ("low", "high")):
        return float(_end(span["low"], best)), float(_end(span["high"], best))
    return min(float(span["low"]), *tried), max(float(span["high"]), *tried)


def _end(end: float | str, params: Mapping[str, Any]) -> Any:
    return params[end] if isinstance(end, str) else end


def _rising(name: str, tune: Sequence[Trial], objective: Objective) -> list[_Sign]:
    """A sentence if the last quarter of the configurations still brought a tenth of the whole improvement."""
    costs = np.array([cost for one in configurations(tune) if math.isfinite(cost := one.cost(objective))])
    if len(costs) < 8:
        return []
    best = np.minimum.accumulate(costs)
    typical = float(np.median(costs))
    late = best[len(best) - 1 - len(best) // 4] - best[-1]
    if late <= 0.1 * (typical - best[-1]) or late <= 0:
        return []
    late_ones = f"the last quarter of its {len(costs)} measured configurations"
    more = "more tuning trials may find a better one."
    return [
        _Sign(
            ("rising",),
            f"{name}: its best value still improved in {late_ones}: {more}",
            f"the best value still improved in the last quarter of the configurations: {more}",
        )
    ]


def _winners_curse(name: str, best: Tried, confirm: Sequence[Trial], objective: Objective) -> list[_Sign]:
    """A sentence if the winner did clearly worse on fresh seeds than in the trials that made it win."""
    values = [trial.objective for trial in confirm if trial.objective is not None]
    if len(values) < 3 or best.objective is None:
        return []
    gap = best.objective - float(np.mean(values))
    gap = gap if objective.higher_is_better else -gap
    if gap <= 2 * float(np.std(values, ddof=1)) or gap <= 0:
        return []
    tuned, confirmed = f"{best.objective:.4g}", f"{np.mean(values):.4g}"
    if objective.arrival is not None:
        tuned, confirmed = f"the target after {tuned} {objective.clock}", f"{confirmed}"
    sentence = f"{name}: the winner reached {tuned} when it was tuned, its confirm runs {confirmed}"
    of_several = (
        "the winner did clearly worse in its confirm runs than when it was tuned: it won partly by luck."
    )
    return [_Sign(("luck",), f"{sentence} on average: it won partly by luck.", of_several)]


def toss_up(tune: Sequence[Trial], confirm: Sequence[Trial], objective: Objective) -> bool:
    """Return True if in most tunings runner-up and winner differ by less than runs of the winner."""
    confirmed = by_replicate(confirm)
    tossed = [
        _tossed(trials, confirmed.get(number, []), objective) for number, trials in by_replicate(tune).items()
    ]
    return 2 * sum(tossed) > len(tossed)


def _tossed(tune: Sequence[Trial], confirm: Sequence[Trial], objective: Objective) -> bool:
    noise = _noise(confirm)
    costs = [one.cost(objective) for one in ranked(tune, objective) if one.objective is not None]
    return len(costs) > 1 and costs[1] - costs[0] < noise


def toss_up_warnings(names: Sequence[str], replicates: int = 1) -> list[str]:
    """Return one sentence for all these schedules: in most studies they are many."""
    if not names:
        return []
    if replicates > 1:
        close = "in most tunings the winner and the runner-up differ by less than runs of the winner"
        return [f"{', '.join(names)}: {close}. The intervals, over the tunings, include that."]
    close = "the winner and the runner-up of the tuning differ by less than runs of the winner on fresh seeds"
    return [f"{', '.join(names)}: {close}. Other seeds might have chosen another winner."]
