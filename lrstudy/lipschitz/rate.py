"""The learning rate as a state machine over measurements: plain numbers in, plain numbers out, no tensors.

``LipschitzLR`` drives one of these; a stacked run that trains many models at once keeps one per lane.
"""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from lrstudy.lipschitz.constants import (
    OF_ALL_LAYERS,
    LossShape,
    data_constant,
    l2_term,
    smoothness,
    valid_gradient_bound,
)
from lrstudy.lipschitz.limits import Limits
from lrstudy.lipschitz.rules import Averages, advance, learning_rate, second_moment

# The largest float32: an optimizer's step cannot take a larger rate.
LARGEST: Final = 3.4028234663852886e38

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of one epoch's measurement; norms over whole batches, their maximum over the batches.

    ``kz``: Kz, largest ‖A‖_F. ``rows``: m, the rows of the largest batch; 0 if nothing was seen.
    ``weight_norm``: w̄. ``squares``: S, largest ‖A∘A‖_F. ``ka``: Ka, largest norm of the outputs.
    ``target_norm``: largest ‖y‖. ``spectral``: largest λ_max(AᵀA). What a rule does not need stays 0.
    ``rms_kz``, ``rms_ka``, ``rms_target``: the largest norm over √m, and ``mean_spectral`` λ_max over m,
    where a bound must hold for batches shorter than m too. ``parts``: the most micro-batches whose losses
    were summed in a step, not averaged. ``curvature``: that of the loss in all parameters.
    """

    kz: float
    rows: int
    weight_norm: float
    squares: float = 0.0
    ka: float = 0.0
    target_norm: float = 0.0
    spectral: float = 0.0
    rms_kz: float = 0.0
    rms_ka: float = 0.0
    rms_target: float = 0.0
    mean_spectral: float = 0.0
    parts: int = 1
    curvature: float = 0.0


@dataclass(frozen=True, slots=True)
class RateSettings:
    """Everything that decides how measurements become rates (see ``LipschitzLR`` for the meaning).

    ``damping`` turns the damped momentum's rate into the optimizer's own: (1 − β)/(1 − dampening).
    """

    loss: LossShape
    rule: str = "sgd"
    beta1: float = 0.0
    beta2: float = 0.0
    damping: float = 1.0
    l2: float = 0.0
    bound: str = "paper"
    policy: str = "adaptive"
    initial_lr: float | None = None
    scale: float = 1.0
    max_lr: float | None = None
    bias_correction: bool = False
    initial_k: float | None = None
    initial_k1: float = 0.0
    initial_k2: float = 0.0
    squares: str = "coded"
    max_growth: float | None = None
    cap: str = "none"

    @property
    def start(self) -> Averages:
        """The averages before the first measurement; AdaMo's hand-picked x is in K too.

        Without it K starts at the first L: from 0 the first rates would be too large by 1/(1 − β^t). The bias
        correction removes just that factor, so under it K starts at 0.
        """
        k = self.initial_lr if self.initial_k is None else self.initial_k
        if k is None and (self.rule != "adamo" or self.bias_correction):
            k = 0.0
        return Averages(k, self.initial_k1, self.initial_k2)


def lipschitz_constant(settings: RateSettings, found: Measurement) -> tuple[float, float]:
    """Return (L, its data term): with the L2 term λ·w̄, or λ itself where L is the gradient's."""
    m, parts = found.rows, found.parts
    if settings.bound in OF_ALL_LAYERS:
        return found.curvature + settings.l2, found.curvature
    if settings.bound == "smoothness":
        data = smoothness(settings.loss, max(found.spectral, found.mean_spectral * m), m) * parts
        return data + settings.l2, data
    if settings.bound == "valid":
        # The norms of a batch as large as the largest, with rows as large as any batch has.
        kz, ka, y = (
            max(norm, rms * math.sqrt(m))
            for norm, rms in (
                (found.kz, found.rms_kz),
                (found.ka, found.rms_ka),
                (found.target_norm, found.rms_target),
            )
        )
        data = valid_gradient_bound(settings.loss, kz, m, ka, y) * parts
    else:
        data = data_constant(settings.loss, found.kz, m, found.ka, found.target_norm) * parts
    return data + l2_term(settings.l2, found.weight_norm), data


class LipschitzRate:
    """The rate of the latest good measurement, and what it was made of.

    ``value`` is None until then. ``rejected`` counts the measurements without a usable rate (Kz zero,
    NaN or infinite, or no batch seen): they change nothing, and the first one is logged.
    """

    def __init__(self, settings: RateSettings) -> None:
        self.settings = settings
        self.limits = Limits(settings.max_growth, settings.cap)
        self.rejected = 0
        self.restart()

    def take_settings(self, settings: RateSettings) -> None:
        """Continue with other settings, which become known before the first measurement."""
        self.settings = settings
        if self.value is None:
            self.averages = settings.start

    def restart(self) -> None:
        """Forget every measurement, as at the first epoch."""
        self.averages = self.settings.start
        self.limits.restart()
        self.value: float | None = None
        self.constant: float | None = None
        self.kz: float | None = None
        self.weight_norm: float | None = None

    @property
    def settled(self) -> bool:
        """Return True if no later measurement can change the rate (``policy="fixed"`` after its one)."""
        return self.settings.policy == "fixed" and self.value is not None

    def update(self, found: Measurement, previous: float | None = None) -> bool:
        """Use one epoch's measurement; return True if it was not rejected.

        ``previous`` is the rate of the epoch just done, before annealing; None at the start.
        """
        if self.settled:
            return True
        candidate = self._candidate(found)
        if candidate is None:
            self._reject(found)
            if self.value is not None:
                self.value = self.limits.apply(self.value, previous)
            return False
        rate, self.averages, self.constant = candidate
        self.value = self.limits.apply(rate, previous)
        self.kz, self.weight_norm = found.kz, found.weight_norm
        return True

    def _candidate(self, found: Measurement) -> tuple[float, Averages, float] | None:
        if found.rows < 1 or not (math.isfinite(found.kz) and found.kz > 0):
            return None
        s = self.settings
        try:
            constant, data = lipschitz_constant(s, found)
            squares = found.squares if s.squares == "coded" else found.kz**2
            moment = second_moment(data / found.kz, squares, found.kz, s.l2, found.weight_norm)
            averages = advance(s.rule, self.averages, constant, moment, s.beta1, s.beta2)
            rate = learning_rate(
                s.rule, averages, constant, found.kz, s.beta1, s.beta2, bias_correction=s.bias_correction
            )
        except (ArithmeticError, ValueError):  # a norm so large, or so small, that a quotient leaves float64
            return None
        rate *= s.scale * s.damping
        if s.max_lr is not None:
            rate = min(rate, s.max_lr)
        if not (0 < rate <= LARGEST and math.isfinite(constant)):
            return None
        return rate, averages, constant

    def _reject(self, found: Measurement) -> None:
        self.rejected += 1
        if self.rejected > 1:
            return
        if found.rows < 1:
            what = "no training batch was seen at the last linear layer in a step of the optimizer"
        elif self.settings.bound in OF_ALL_LAYERS and not 0 < found.curvature < math.inf:
            what = f"the loss's curvature, {found.curvature:g}, gives no learning rate"
        else:
            what = f"Kz = {found.kz:g} and w̄ = {found.weight_norm:g} give no learning rate"
        _log.warning("LipschitzLR: %s. The rate stays; further cases are only counted (.rejected).", what)

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers (and None) only."""
        return {
            **asdict(self.averages),
            **self.limits.state_dict(),
            "value": self.value,
            "constant": self.constant,
            "kz": self.kz,
            "weight_norm": self.weight_norm,
            "rejected": self.rejected,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` returned."""
        self.averages = Averages(state["k"], state["k1"], state["k2"], state["t"])
        self.value, self.constant = state["value"], state["constant"]
        self.kz, self.weight_norm = state["kz"], state["weight_norm"]
        self.rejected = state["rejected"]
        self.limits.load_state_dict(state)
