"""The built-in curves, each made by the torch scheduler that has it."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
)

from lrstudy.errors import NO_VALUE, Problem, SchedulerError
from lrstudy.schedules.curve_builder import Kind, Plan, Request

_BASE_RATIO: Final = 0.25
# The fewest steps in which a cycle, and a cosine's first and last wave, come back down. The first one's are
# rounded to whole steps.
_CYCLE_STEPS: Final = 4
_FIRST_WAVE_STEPS: Final = 1.5
_LAST_WAVE_STEPS: Final = 4
# How far above its lowest rate, as a share of its height, a cosine's last wave may be cut off.
_END: Final = 1e-3


def _fixed(request: Request) -> Plan:
    return Plan(ConstantLR(request.carrier, factor=1.0, total_iters=0), "epoch")


def _step(request: Request) -> Plan:
    fractions, last = request.params["milestones"], request.total_steps - 1
    if fractions and last < 1:
        raise _too_short("step", "milestones", request, 2)
    # At step 0 or after the last one a milestone would be lost: a short training has it one step beside.
    milestones = [min(max(round(fraction * request.total_steps), 1), last) for fraction in fractions]
    scheduler = MultiStepLR(request.carrier, sorted(milestones), request.params["gamma"])
    return Plan(scheduler, moves=frozenset(milestones))


def _cyclic(request: Request) -> Plan:
    params = request.params
    base_lr = _base_lr(request)
    # A half cycle cut off at its top would end the training at the highest rate: fit whole cycles.
    epochs = request.epochs * request.steps / request.total_steps
    cycles = max(1, round(epochs / params["cycle_epochs"]))
    if request.steps < _CYCLE_STEPS * cycles:
        raise _too_short("cyclic", "cycle_epochs", request, _CYCLE_STEPS * cycles)
    half: Any = request.steps / (2 * cycles)  # typed as a whole number, but torch computes with its float
    scheduler = CyclicLR(
        request.carrier,
        base_lr,
        request.rate,
        step_size_up=half,
        mode=params["mode"],
        gamma=params["gamma"],
        cycle_momentum=params["cycle_momentum"],
        base_momentum=params["base_momentum"],
        max_momentum=params["max_momentum"],
    )
    return Plan(scheduler, momentum=params["cycle_momentum"])


def _base_lr(request: Request) -> float:
    base_lr, ratio = request.params["base_lr"], request.params["base_ratio"]
    if base_lr is None:
        return float(request.rate * (_BASE_RATIO if ratio is None else ratio))
    if ratio is not None:
        message, remedy = "is given together with base_ratio", "Give one of the two."
        raise SchedulerError(Problem("schedule cyclic", "base_lr", message, remedy, base_lr))
    if base_lr >= request.rate:
        message = f"must be below max_lr ({request.rate:g})"
        remedy = "Lower base_lr, or give base_ratio, a fraction of max_lr."
        raise SchedulerError(Problem("schedule cyclic", "base_lr", message, remedy, base_lr))
    return float(base_lr)


def _one_cycle(request: Request) -> Plan:
    params = request.params
    # torch divides by the length of the rise: it and the fall need a step each.
    shortest = 2.0 / request.steps
    longest = 0.5 if params["three_phase"] else 1.0
    if request.steps < (fewest := 6 if params["three_phase"] else 3):
        raise _too_short("one-cycle", "", request, fewest)
    if params["pct_start"] > longest:
        message, remedy = (
            "must be at most 0.5 with three_phase",
            "The fall takes as long as the rise: lower it.",
        )
        raise SchedulerError(Problem("schedule one-cycle", "pct_start", message, remedy, params["pct_start"]))
    scheduler = OneCycleLR(
        request.carrier,
        request.rate,
        total_steps=request.steps,
        pct_start=max(float(params["pct_start"]), shortest),
        anneal_strategy=params["anneal"],
        cycle_momentum=params["cycle_momentum"],
        base_momentum=params["base_momentum"],
        max_momentum=params["max_momentum"],
        div_factor=params["div_factor"],
        final_div_factor=params["final_div_factor"],
        three_phase=params["three_phase"],
    )
    return Plan(scheduler, momentum=params["cycle_momentum"])


def _cosine(request: Request) -> Plan:
    lowest = request.params["min_ratio"] * request.rate
    waves, factor = 1 + request.params["restarts"], request.params["restart_factor"]
    if waves == 1:
        return Plan(CosineAnnealingLR(request.carrier, request.steps, lowest))
    # The first wave's length T0 with T0·(1 + f + … + f^n) = T, rounded up, which shortens the last wave.
    shares = [factor**wave for wave in range(waves)]
    fewest = math.ceil(max(_FIRST_WAVE_STEPS, _LAST_WAVE_STEPS / shares[-1]) * sum(shares))
    if request.steps < fewest:
        raise _too_short("cosine", "restarts", request, fewest)
    first = math.ceil(request.steps / sum(shares))
    cut = (first * sum(shares) - request.steps) / (first * shares[-1])
    if (1.0 - math.cos(math.pi * cut)) / 2.0 <= _END:
        return Plan(CosineAnnealingWarmRestarts(request.carrier, first, factor, lowest))
    ends = [round(request.steps * sum(shares[: wave + 1]) / sum(shares)) for wave in range(waves)]
    return Plan(LambdaLR(request.carrier, partial(_waves, [0, *ends], request.params["min_ratio"])))


def _waves(bounds: Sequence[int], lowest: float, step: int) -> float:
    """The factor of cosine waves of whole steps: each starts at 1 and would be at ``lowest`` at its end."""
    wave = min(bisect.bisect_right(bounds, step), len(bounds) - 1)
    start, end = bounds[wave - 1], bounds[wave]
    return lowest + (1.0 - lowest) * (1.0 + math.cos(math.pi * (step - start) / (end - start))) / 2.0


def _too_short(kind: str, key: str, request: Request, fewest: int) -> SchedulerError:
    after = " after its warm-up" if request.steps < request.total_steps else ""
    message = f"does not fit into a training of {request.steps} steps{after}; it needs {fewest}"
    lower = {"restarts": "ask for fewer restarts", "cycle_epochs": "raise cycle_epochs"}.get(key)
    remedy = f"Train for longer{f', or {lower}' if lower else ''}."
    value = request.params[key] if key else NO_VALUE
    return SchedulerError(Problem(f"schedule {kind}", key, message, remedy, value))


def _linear(request: Request) -> Plan:
    return Plan(LinearLR(request.carrier, 1.0, request.params["end_ratio"], total_iters=request.steps))


def _exponential(request: Request) -> Plan:
    return Plan(ExponentialLR(request.carrier, request.params["gamma"]), "epoch")


def _polynomial(request: Request) -> Plan:
    return Plan(PolynomialLR(request.carrier, total_iters=request.steps, power=request.params["power"]))


def _inverse_time(request: Request) -> Plan:
    decay = request.params["decay"]
    return Plan(LambdaLR(request.carrier, lambda step: 1.0 / (1.0 + decay * step)))


def _wsd(request: Request) -> Plan:
    params = request.params
    # The decay is a fraction of the whole training; after a warm-up at most the rest is left for it.
    length = min(max(1, round(params["decay"] * request.total_steps)), request.steps)
    start, fall = request.steps - length, _FALLS[params["shape"]]

    def factor(step: int) -> float:
        left = 1.0 - min(max(step - start, 0) / length, 1.0)
        return float(params["end_ratio"] + (1.0 - params["end_ratio"]) * fall(left, params["power"]))

    return Plan(LambdaLR(request.carrier, factor))


# The decays of wsd: the factor where the share ``left`` of the decay is still to come.
_FALLS: Final[dict[str, Callable[[float, float], float]]] = {
    "1-sqrt": lambda left, _: 1.0 - math.sqrt(1.0 - left),
    "linear": lambda left, _: left,
    "cosine": lambda left, _: (1.0 - math.cos(math.pi * left)) / 2.0,
    "power": lambda left, power: left**power,
}


def _inverse_sqrt(request: Request) -> Plan:
    timescale = request.params["timescale"] * request.total_steps
    return Plan(LambdaLR(request.carrier, lambda step: math.sqrt(timescale / (timescale + step))))


def _rex(request: Request) -> Plan:
    beta, steps = request.params["beta"], request.steps

    def factor(step: int) -> float:
        left = 1.0 - step / steps
        return float(left / (1.0 - beta + beta * left)) if left > 0.0 else 0.0

    return Plan(LambdaLR(request.carrier, factor))


def _power(request: Request) -> Plan:
    params = request.params
    # Counted from the start of training, as the paper counts tokens: a warm-up is a part of it.
    offset = request.total_steps - request.steps
    hold = params["hold"] * request.total_steps
    length = round(params["decay"] * request.total_steps)

    def factor(step: int) -> float:
        power = min(1.0, (hold / max(step + offset, 1)) ** params["exponent"])
        return float(power * min(1.0, max(request.steps - step, 0) / length if length else 1.0))

    return Plan(LambdaLR(request.carrier, factor))


def _plateau(request: Request) -> Plan:
    params = request.params
    scheduler = ReduceLROnPlateau(
        request.carrier,
        mode="max" if request.higher_is_better else "min",
        factor=params["factor"],
        patience=params["patience"],
        threshold=params["threshold"],
        threshold_mode=params["threshold_mode"],
        cooldown=params["cooldown"],
        min_lr=params["min_ratio"] * request.rate,
        eps=0.0,  # torch's 1e-8 would stop reductions at the rates that Adam is used with
    )
    return Plan(scheduler, "epoch")


KINDS: Final = {
    "fixed": Kind(_fixed),
    "step": Kind(_step),
    "cyclic": Kind(_cyclic, rate="max_lr", after_warmup=True),
    "one-cycle": Kind(_one_cycle, rate="max_lr", after_warmup=True),
    "cosine": Kind(_cosine, after_warmup=True),
    "linear": Kind(_linear, after_warmup=True),
    "exponential": Kind(_exponential),
    "polynomial": Kind(_polynomial, after_warmup=True),
    "inverse-time": Kind(_inverse_time),
    "wsd": Kind(_wsd, after_warmup=True),
    "inverse-sqrt": Kind(_inverse_sqrt, after_warmup=True),
    "rex": Kind(_rex, after_warmup=True),
    "power": Kind(_power, after_warmup=True),
    "plateau": Kind(_plateau),
}
