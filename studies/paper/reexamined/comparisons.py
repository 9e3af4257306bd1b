"""The rule against its untuned baselines, by printed accuracies: defeats included."""

from __future__ import annotations

from dataclasses import dataclass

from reexamined.facts import settings
from reexamined.numbers import Numbers
from reexamined.printed import PRINTED, Run


@dataclass(frozen=True)
class Comparison:
    """A baseline and the best printed run of the rule on one task, in percent.

    ``recorded`` is the best accuracy of the rule's recorded runs, which may be higher than what is printed.
    """

    task: tuple[str, str, str]
    baseline: float
    baseline_lr: float
    schedule: str
    rule: float
    recorded: float | None

    @property
    def gain(self) -> float:
        """The rule's accuracy over the baseline's, in points."""
        return round(self.rule - self.baseline, 2)


def comparisons(numbers: Numbers) -> list[Comparison]:
    """Return one for each task with a printed baseline and a printed run of the rule."""
    found = []
    for run, printed in PRINTED.items():
        rivals = {other: PRINTED[other] for other in PRINTED if other[:3] == run[:3] and other != run}
        lr = settings(run).lr
        if run[3] != "baseline" or not rivals or lr is None:
            continue
        best = max(rivals, key=lambda other: PRINTED[other].percent)
        found.append(
            Comparison(
                task=run[:3],
                baseline=printed.percent,
                baseline_lr=lr,
                schedule=best[3],
                rule=PRINTED[best].percent,
                recorded=_recorded(numbers, run),
            )
        )
    return sorted(found, key=lambda each: (-each.baseline_lr, -each.gain))


def _recorded(numbers: Numbers, baseline: Run) -> float | None:
    runs = [run.best for run in numbers.runs if run.run[:3] == baseline[:3] and run.run != baseline]
    return round(100 * max(runs), 2) if runs else None


def unmatched() -> list[Run]:
    """Return the printed runs of a task that has only a baseline, or none."""
    tasks = [run[:3] for run in PRINTED]
    baselines = {run[:3] for run in PRINTED if run[3] == "baseline"}
    return [run for run in PRINTED if run[:3] not in baselines or tasks.count(run[:3]) == 1]
