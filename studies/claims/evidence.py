"""The evidence that a claim is held against, and what is awaited of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kept_reports import FAST, SLOW, Study, answer, primary

from claims import measured
from claims.measured import Schedule, rules, tuned_rules
from claims.sweeps import Sweeps

# Reports that are awaited, by name, with what they measure; a trailing * stands for any end of the name.
AWAITED: Final = {
    "paper-mnist-sgd": "MNIST as coded, against a constant rate near the mean of the recorded ones",
    "mnist-10k": "10,240 MNIST images, decided over tunings",
    "cifar10-small": "a ResNet on CIFAR-10, decided over tunings",
    "controls-*": "the rule against its controls over tasks",
    "optimizer-*": "the rule for momentum, RMSprop and Adam",
    "loss-*": "the rule for absolute, pinball and Huber's loss",
}


@dataclass(frozen=True)
class Evidence:
    """What a claim is held against: the recorded runs' summary, the kept studies and the kept sweeps."""

    summary: dict[str, Any]
    studies: tuple[Study, ...]
    sweeps: Sweeps = field(default_factory=dict)

    @property
    def against_tuned(self) -> tuple[Study, ...]:
        """The studies whose reference is a tuned constant rate."""
        return tuple(study for study in self.studies if _has_tuned_reference(study))

    @property
    def verdict(self) -> str:
        """The word for the untuned rule's speed against tuned constant rates."""
        verdicts = [primary(one)["verdict"] for _, one in rules(self.against_tuned)]
        return answer(verdicts, (*FAST, "equivalent"), SLOW)

    @property
    def factors(self) -> list[float]:
        """The factors on the rule's rate that tunings chose, where a tuned constant rate is the reference."""
        return [value for _, one in tuned_rules(self.against_tuned) for value in measured.scales(one)]

    @property
    def moving(self) -> Iterator[tuple[Study, Schedule]]:
        """The untuned rules with rates of more than one evaluation."""
        return ((study, one) for study, one in rules(self.studies) if len(measured.rates(study, one)) > 1)

    @property
    def quotients(self) -> list[float]:
        """The rule's median rate over the tuned constant one, for each study that has both."""
        found = [measured.against_tuned(study, one) for study, one in rules(self.studies)]
        return sorted(each[2] for each in found if each is not None)

    def lacks(self, names: Sequence[str]) -> list[str]:
        """Return the awaited reports of these that are not kept, in words."""
        kept = [study.name for study in self.studies]
        return [
            f"`{name}` ({AWAITED[name]})"
            for name in names
            if not any(each == name or (name[-1] == "*" and each.startswith(name[:-1])) for each in kept)
        ]


def _has_tuned_reference(study: Study) -> bool:
    return any(
        one["name"] == study.summary["reference"]
        and one.get("kind") == measured.CONSTANT
        and one.get("tuned")
        for one in study.summary["schedules"]
    )


def name_of(study: Study, schedule: Schedule) -> str:
    """Return the link to a study, with the schedule's name where several follow the rule."""
    several = sum(1 for _ in rules([study])) > 1
    return f"{study.link}, {schedule['name']}" if several else study.link
