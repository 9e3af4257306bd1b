"""From an optimizer, a layer and the scheduler's arguments to what decides the rate; lists every problem."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from lrstudy.errors import Problem, SchedulerError, did_you_mean
from lrstudy.lipschitz.constants import BOUNDS, LOSSES, NOT_SMOOTH, LossShape
from lrstudy.lipschitz.rate import RateSettings
from lrstudy.lipschitz.rules import NEEDS_SQUARES, RULES

MEASURES = ("hook", "pass", "subset")
POLICIES = ("adaptive", "fixed")
NORMS = ("parameters", "all")

# Keras's defaults, the authors': what holds where a rule is named for an optimizer without such averages.
_DEFAULT_BETAS = {"rmsprop": (0.0, 0.9), "rmsprop-paper": (0.0, 0.9), "auto-adam": (0.9, 0.999)}


@dataclass
class Complaints:
    """Collects what is wrong with the arguments, to raise it all at once."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, key: str, value: object, message: str, remedy: str) -> None:
        """Note one problem with the argument ``key``."""
        self.problems.append(Problem("LipschitzLR", key, message, remedy, value))

    def choice(self, key: str, value: object, known: Sequence[str]) -> None:
        """``value`` must be one of ``known``."""
        if value not in known:
            self.add(key, value, "is not known", did_you_mean(str(value), known))

    def number(self, key: str, value: object, low: float, high: float = math.inf, closed: str = "") -> None:
        """``value`` must be a finite number in (low, high); ``closed`` holds "[" and "]" for closed ends."""
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if number:
            assert isinstance(value, int | float)
            above = value >= low if "[" in closed else value > low
            if above and (value <= high if "]" in closed else value < high):
                return
        left, right = "[" if "[" in closed else "(", "]" if "]" in closed else ")"
        self.add(key, value, "is out of range", f"Give a number in {left}{low:g}, {high:g}{right}.")

    def raise_any(self) -> None:
        """``SchedulerError`` if anything was noted."""
        if self.problems:
            raise SchedulerError(self.problems)


def loss_shape(
    loss: object, head: nn.Module, tau: float, delta: float, bound: str, complaints: Complaints
) -> LossShape:
    """The loss with what its constant depends on; ``loss`` is a name or one of torch's mean-reduced losses.

    The shape is usable only if nothing was noted in ``complaints``.
    """
    outputs = head.out_features
    assert isinstance(outputs, int)
    if isinstance(loss, nn.Module):
        found = _torch_loss(loss)
        if found is None:
            complaints.add("loss", type(loss).__name__, "has no constant", f"Known: {', '.join(LOSSES)}.")
            return LossShape("", outputs)
        if getattr(loss, "reduction", "mean") != "mean":
            complaints.add("loss", loss, "is not averaged over the batch", "Use reduction='mean'.")
        loss, delta = found[0], found[1] if found[1] is not None else delta
    if loss not in LOSSES:
        complaints.add("loss", loss, "has no constant", did_you_mean(str(loss), LOSSES))
        return LossShape("", outputs)
    assert isinstance(loss, str)
    if loss.endswith("cross-entropy") and loss != "binary-cross-entropy" and outputs < 2:
        complaints.add(
            "loss",
            loss,
            f"needs one output per class, the last layer has {outputs}",
            "Use 'binary-cross-entropy'.",
        )
    if bound == "smoothness" and loss in NOT_SMOOTH:
        complaints.add("bound", bound, f"does not exist for {loss}: its slope jumps", "Use 'paper'.")
    complaints.number("tau", tau, 0, 1)
    complaints.number("delta", delta, 0)
    return LossShape(loss, outputs, tau, delta)


def _torch_loss(loss: nn.Module) -> tuple[str, float | None] | None:
    match loss:
        case nn.CrossEntropyLoss():
            return "cross-entropy", None
        case nn.BCEWithLogitsLoss():
            return "binary-cross-entropy", None
        case nn.MSELoss():
            return "mse", None
        case nn.L1Loss():
            return "mae", None
        case nn.HuberLoss():
            return "huber", float(loss.delta)
        case nn.SmoothL1Loss():
            return "huber", 1.0  # Huber's loss over its threshold: its slope is at most 1
    return None


@dataclass(frozen=True, slots=True)
class BaseRule:
    """What the base optimizer says: its rule, β1, β2, the damping factor and λ."""

    rule: str
    beta1: float
    beta2: float
    damping: float
    l2: float


def base_rule(optimizer: Optimizer, group_index: int, named: str | None, complaints: Complaints) -> BaseRule:
    """The rule for ``optimizer``, or the one named, with the settings of one group (the head's).

    The rule is usable only if nothing was noted in ``complaints``.
    """
    group = optimizer.param_groups[group_index]
    unusable = BaseRule("", 0.0, 0.0, 1.0, 0.0)
    if named is not None and named not in RULES:
        complaints.add("rule", named, "is not known", did_you_mean(named, RULES))
        return unusable
    momentum = float(group.get("momentum", 0.0))
    l2 = max(float(g.get("weight_decay", 0.0)) for g in optimizer.param_groups)
    match optimizer:
        case SGD():
            rule, betas = ("adamo" if momentum else "sgd"), (momentum, 0.0)
        case RMSprop():
            rule, betas = "rmsprop", (0.0, float(group["alpha"]))
        case Adam() | AdamW():
            rule, betas = "auto-adam", (float(group["betas"][0]), float(group["betas"][1]))
            if isinstance(optimizer, AdamW) or group.get("decoupled_weight_decay"):
                l2 = 0.0  # decoupled weight decay is no part of the loss, so no part of its constant
        case _ if named is not None:
            rule, betas = named, (momentum, 0.0)
        case _:
            complaints.add(
                "optimizer",
                type(optimizer).__name__,
                "has no rule",
                f"Use SGD, RMSprop, Adam or AdamW, or name one by rule=: {', '.join(RULES)}.",
            )
            return unusable
    chosen = named or rule
    family = {"rmsprop-paper": "rmsprop"}
    if family.get(chosen, chosen) != rule and chosen in _DEFAULT_BETAS:
        betas = _DEFAULT_BETAS[chosen]
    return BaseRule(chosen, *betas, _damping(chosen, group, momentum, complaints), l2)


def _damping(rule: str, group: Mapping[str, Any], momentum: float, complaints: Complaints) -> float:
    """(1 − β)/(1 − dampening): 1 for the damped momentum that AdaMo's 1/K is meant for.

    torch's momentum is undamped by default: v ← βv + g, which is the damped average over 1 − β. So the
    rate times 1 − β makes the same steps.
    """
    if rule != "adamo" or not momentum:
        return 1.0
    dampening = float(group.get("dampening", 0.0))
    if dampening >= 1 or momentum >= 1:
        complaints.add(
            "optimizer",
            {"momentum": momentum, "dampening": dampening},
            "leaves nothing of the gradient",
            "Use a momentum and a dampening below 1.",
        )
        return 1.0
    return (1 - momentum) / (1 - dampening)


def needed_quantities(settings: RateSettings) -> tuple[str, ...]:
    """The names of the norms that these settings use; Kz always."""
    names = ["kz"]
    if settings.rule in NEEDS_SQUARES:
        names.append("squares")
    if settings.loss.name in ("least-squares", "mse"):
        names.append("ka")
    if settings.bound == "smoothness":
        names.append("spectral")
    return tuple(names)


def group_of(head: nn.Module, optimizer: Optimizer) -> int:
    """The index of the parameter group that holds the last linear layer; 0 if none does.

    A group whose rate is 0 cannot be what the others' rates are in proportion to.
    """
    own = {id(parameter) for parameter in head.parameters()}
    groups = optimizer.param_groups
    live = [i for i, group in enumerate(groups) if float(group["lr"]) > 0] or [0]
    return next((i for i in live if own & {id(p) for p in groups[i]["params"]}), live[0])


def check_batches(complaints: Complaints, batches: object, measure: str) -> None:
    """``batches`` must be there where a pass needs them, and must bear being gone over every epoch."""
    if batches is None:
        if measure in ("pass", "subset"):
            complaints.add(
                "batches", None, f"measure={measure!r} goes over them", "Give the training batches."
            )
    elif isinstance(batches, Iterator):
        complaints.add(
            "batches",
            batches,
            "can be gone over only once",
            "Give a DataLoader, or a function that opens them.",
        )
    elif not (callable(batches) or isinstance(batches, Iterable)):
        complaints.add("batches", batches, "cannot be gone over", "Give a list or a DataLoader.")


def check_choices(complaints: Complaints, *, measure: str, policy: str, norms: str, bound: str) -> None:
    """The arguments that are one of a few words."""
    complaints.choice("measure", measure, MEASURES)
    complaints.choice("policy", policy, POLICIES)
    complaints.choice("norms", norms, NORMS)
    complaints.choice("bound", bound, BOUNDS)


def check_numbers(complaints: Complaints, numbers: Mapping[str, tuple[object, float, float, str]]) -> None:
    """Arguments by name: (value, low, high, closed ends); None is "not given"."""
    for key, (value, low, high, closed) in numbers.items():
        if value is not None:
            complaints.number(key, value, low, high, closed)
