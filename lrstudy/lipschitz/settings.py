"""Turns an optimizer, a layer and the arguments into what decides the rate; lists every problem."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from lrstudy.errors import did_you_mean
from lrstudy.lipschitz.constants import BOUNDS, NEEDS_TARGETS, OF_ALL_LAYERS
from lrstudy.lipschitz.limits import CAPS
from lrstudy.lipschitz.linear_layers import outputs_of
from lrstudy.lipschitz.loss_modules import loss_shape
from lrstudy.lipschitz.rate import RateSettings
from lrstudy.lipschitz.refusals import Complaints
from lrstudy.lipschitz.rules import NEEDS_SQUARES, RULES, SQUARES

MEASURES = ("hook", "pass", "subset")
POLICIES = ("adaptive", "fixed")
NORMS = ("parameters", "all")
ACCUMULATED = ("mean", "sum")

# Keras's defaults, the authors': what holds where a rule is named for an optimizer without such averages.
_DEFAULT_BETAS = {"rmsprop": (0.0, 0.9), "rmsprop-paper": (0.0, 0.9), "auto-adam": (0.9, 0.999)}


@dataclass(frozen=True, slots=True)
class BaseRule:
    """The settings of the base optimizer: its rule, β1, β2, the damping factor and λ."""

    rule: str
    beta1: float
    beta2: float
    damping: float
    l2: float


def base_rule(optimizer: Optimizer, group_index: int, named: str | None, complaints: Complaints) -> BaseRule:
    """Return the rule for ``optimizer``, or the one named, with the settings of one group (the head's).

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
    """Return (1 − β)/(1 − dampening): 1 for the damped momentum that AdaMo's 1/K is meant for.

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


@dataclass(frozen=True, slots=True)
class RateChoices:
    """The scheduler's arguments that decide the rate, as given."""

    loss: str | nn.Module
    tau: float
    delta: float
    rule: str | None
    l2: float | None
    bound: str
    policy: str
    initial_lr: float | None
    scale: float
    max_lr: float | None
    bias_correction: bool
    initial_k: float | None
    initial_k1: float
    initial_k2: float
    squares: str
    max_growth: float | None
    cap: str

    def settings(
        self, head: nn.Module | None, optimizer: Optimizer, complaints: Complaints
    ) -> tuple[int, RateSettings]:
        """Return the head's parameter group, and the settings; without a head, as far as they are known."""
        group = group_of(head, optimizer)
        outputs = None if head is None else outputs_of(head)
        shape = loss_shape(self.loss, outputs, self.tau, self.delta, self.bound, complaints)
        base = base_rule(optimizer, group, self.rule, complaints)
        return group, RateSettings(
            shape,
            rule=base.rule,
            beta1=base.beta1,
            beta2=base.beta2,
            damping=base.damping,
            l2=base.l2 if self.l2 is None else float(self.l2),
            bound=self.bound,
            policy=self.policy,
            initial_lr=self.initial_lr,
            scale=self.scale,
            max_lr=self.max_lr,
            bias_correction=self.bias_correction,
            initial_k=self.initial_k,
            initial_k1=self.initial_k1,
            initial_k2=self.initial_k2,
            squares=self.squares,
            max_growth=self.max_growth,
            cap=self.cap,
        )


def needed_quantities(settings: RateSettings) -> tuple[str, ...]:
    """Return the names of the norms that these settings use; Kz always."""
    names = ["kz"]
    if settings.rule in NEEDS_SQUARES and settings.squares == "coded":
        names.append("squares")
    squared = settings.loss.name in NEEDS_TARGETS and settings.bound not in OF_ALL_LAYERS
    if squared:
        names.append("ka")
    if settings.bound == "smoothness":
        names.append("spectral")
    # What must bound short batches too: the paper's constant has the rows of the largest batch alone.
    if settings.bound == "smoothness" and not settings.loss.summed:
        names.append("mean_spectral")
    if settings.bound == "valid" and not settings.loss.summed:
        names.append("rms_kz")
        if squared:
            names += ["rms_ka", "inverse_root_rows"]
    return tuple(names)


def group_of(head: nn.Module | None, optimizer: Optimizer) -> int:
    """Return the index of the parameter group that holds the last linear layer; the first if none does.

    A group whose rate is 0 cannot be what the others' rates are in proportion to.
    """
    own = set() if head is None else {id(parameter) for parameter in head.parameters()}
    groups = optimizer.param_groups
    live = [i for i, group in enumerate(groups) if float(group["lr"]) > 0] or [0]
    return next((i for i in live if own & {id(p) for p in groups[i]["params"]}), live[0])


def check_batches(complaints: Complaints, batches: object, measure: str, bound: str) -> bool:
    """Return True if a measurement that needs ``batches`` has them, and can iterate over them every epoch."""
    noted = len(complaints.problems)
    if batches is None:
        if measure in ("pass", "subset"):
            complaints.add(
                "batches", None, f"measure={measure!r} goes over them", "Give the training batches."
            )
        elif bound in OF_ALL_LAYERS:
            complaints.add(
                "batches", None, f"bound={bound!r} is measured on them", "Give the training batches."
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
    return len(complaints.problems) == noted


def check_ranks(complaints: Complaints, settings: RateSettings) -> None:
    """Note the settings with which the ranks' measurements cannot be combined."""
    if settings.bound == "smoothness" or settings.bound in OF_ALL_LAYERS:
        complaints.add("bound", settings.bound, "is not put together over ranks", "Use 'paper' or 'valid'.")
    if settings.loss.summed:
        complaints.add(
            "loss",
            settings.loss.name,
            "is summed over the rows, but data-parallel training averages the ranks' gradients",
            "Use reduction='mean'.",
        )


def check_choices(
    complaints: Complaints,
    *,
    measure: str,
    policy: str,
    norms: str,
    bound: str,
    accumulated: str,
    squares: str,
    cap: str,
) -> None:
    """Note the arguments that are not one of the few words known."""
    complaints.choice("squares", squares, SQUARES)
    complaints.choice("cap", cap, CAPS)
    complaints.choice("accumulated", accumulated, ACCUMULATED)
    complaints.choice("measure", measure, MEASURES)
    complaints.choice("policy", policy, POLICIES)
    complaints.choice("norms", norms, NORMS)
    complaints.choice("bound", bound, BOUNDS)


def check_numbers(complaints: Complaints, numbers: Mapping[str, tuple[object, float, float, str]]) -> None:
    """Note the numbers out of range, by name: (value, low, high, closed ends); None is "not given"."""
    for key, (value, low, high, closed) in numbers.items():
        if value is not None:
            complaints.number(key, value, low, high, closed)
