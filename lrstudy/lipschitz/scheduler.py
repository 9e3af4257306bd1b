"""``LipschitzLR``: a torch learning-rate scheduler that needs no rate, only the network's own activations."""

from __future__ import annotations

import math
import weakref
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrstudy.compat.torch import (
    keep_last_rates,
    load_scheduler_state,
    scheduler_state,
    skip_order_warning,
    skipped_by_scaler,
    starts_now,
    steps_now,
)
from lrstudy.errors import Problem, SchedulerError
from lrstudy.lipschitz.arguments import Arguments
from lrstudy.lipschitz.head_candidates import refusal
from lrstudy.lipschitz.labels import label_watch
from lrstudy.lipschitz.meter import Meter
from lrstudy.lipschitz.meter_settings import Batches
from lrstudy.lipschitz.per_batch import PerBatchCheck
from lrstudy.lipschitz.ranks import ranks_of
from lrstudy.lipschitz.rate import LipschitzRate
from lrstudy.lipschitz.refusals import Complaints
from lrstudy.lipschitz.settings import check_ranks
from lrstudy.lipschitz.weak_calls import weakly


class LipschitzLR(LRScheduler):
    """Sets each epoch's learning rate to the inverse of the loss's Lipschitz constant, as measured.

    Source: R. Yedida, S. Saha and T. Prashanth, LipschitzLR, arXiv 1902.07399. Call ``step()`` once per
    epoch, after the epoch's last ``optimizer.step()``.

    >>> import torch
    >>> model = torch.nn.Linear(4, 3)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> scheduler = LipschitzLR(optimizer, model, loss="cross-entropy")
    >>> for epoch in range(2):
    ...     loss = torch.nn.functional.cross_entropy(model(torch.ones(8, 4)), torch.zeros(8).long())
    ...     loss.backward()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.kz  # ‖A‖_F of 8 rows of ones, √32
    5.656854152679443
    >>> [round(lr, 4) for lr in scheduler.get_last_lr()]  # 1/L, L = (3 − 1)/(3·8)·Kz
    [2.1213]

    Args:
        optimizer: SGD, RMSprop, Adam or AdamW. It decides the rule: ``sgd``, ``adamo`` (SGD with
            momentum), ``rmsprop``, ``auto-adam``. AdaMo's rate is meant for the damped momentum
            (``dampening=momentum``); for another dampening it is multiplied by (1 − β)/(1 − dampening),
            which makes the same steps.
        model: the model that the training calls: compiled or wrapped in DistributedDataParallel, if it is.
            With ``measure="hook"``, make the scheduler before a compiled model's first step: what is compiled
            by then does not call a hook that comes later, which is refused after the first epoch.
        loss: ``cross-entropy``, ``clipped-cross-entropy``, ``binary-cross-entropy`` (on a logit),
            ``least-squares`` (‖a − y‖²/(2m)), ``mse``, ``mae``, ``quantile`` (``tau``), ``huber``
            (``delta``), averaged over the rows; or the torch loss module itself, with its weights (see
            ``losses``). What has no constant is refused: smoothed labels and averaged class weights with
            ``bound="paper"``, labels that are left out, ``reduction="none"``, its own forward.
        measure: ``hook``: the largest norm over the optimizer's steps since the last ``step()``, at almost
            no cost; the first epoch runs at the optimizer's own rate. All forward passes whose gradients
            a step used are one batch (gradient accumulation); a step that a gradient scaler skipped is none.
            ``pass``: an extra pass over ``batches`` in evaluation mode before every epoch, the first
            included, as the authors do. ``subset``: the same over a random ``fraction`` of the batches,
            drawn again every epoch.
        batches: what a pass goes over, again each epoch: inputs or (input, target) pairs, or
            a function that opens them. With
            ``measure="hook"``, only its targets are used, once, and only by ``least-squares`` and ``mse``
            (or give ``target_norm``, the largest norm of a batch's targets).
        fraction: for ``subset``, in (0, 1].
        policy: ``adaptive``: a new rate every epoch. ``fixed``: one, computed after one epoch, for good.
        initial_lr: the rate until the first measurement, in place of the optimizer's own; a pass then
            begins after the first epoch. With ``adamo`` the average starts there too (the authors' x).
        scale: a factor on the computed rate.
        time_decay: Keras's decay: every optimizer step i (from 0) has the rate/(1 + time_decay·i).
        max_lr: an upper limit of the rates computed, and of ``initial_lr``.
        norms: for w̄: ``parameters`` or ``all`` (with batch-norm statistics, as in the authors' code).
        bound: ``paper``: its L. ``valid``: a true bound of the last layer's gradient (√(2/m)·Kz for
            cross-entropy), for batches shorter than m too. ``smoothness``: of the gradient, λ_max(AᵀA)/(2m)
            for cross-entropy.
        bias_correction: divide the moving averages by 1 − β^t (§8.4).
        rule: name the rule instead; also ``rmsprop-paper``, Algorithm 2's form.
        l2: λ, instead of the largest ``weight_decay`` of the optimizer's groups. A decoupled decay
            (AdamW) is no part of the loss and counts only if given here.
        head: the last linear layer or its name. If not given, the ``nn.Linear`` or 1×1 convolution whose
            output is the model's output (its ``logits``, of several) in the first training pass, or for the
            first of ``batches``; refused where there is none. Each position of a sequence or image is a row.
        batch_size: m, instead of the rows of the largest batch seen.
        tau, delta, target_norm: see ``loss`` and ``batches``.
        accumulate: how many of ``batches`` make a step. The hook sees that by itself; where ``batches`` count
            and it sees more, that is refused.
        accumulated: ``mean``: the losses of a step's micro-batches are divided by their number; ``sum``:
            they are added up undivided, which makes L so many times as large.
        process_group: of the ranks that train the model together; that of its DistributedDataParallel
            wrapper if not given. Their rates are equal. ``False``: each rank trains another model.
        initial_k1, initial_k2: start of Auto-Adam's and RMSprop's averages (the authors' rescue: 1, 1e-6).
        seed: for ``subset``.
        last_epoch: as in every torch scheduler.

    Several parameter groups keep the ratio of their rates; the group that holds the last linear layer has
    the computed rate. A measurement that gives no rate (Kz zero, NaN or infinite) leaves the last good one,
    is counted in ``rejected`` and logged the first time. What the hook cannot have seen rightly (no forward
    pass in any step, a model in evaluation mode) is a ``SchedulerError`` from ``step()``.

    Raises:
        SchedulerError: (a ``ValueError``) naming every argument that cannot be used, and what can.
    """

    watches_steps: ClassVar[bool] = True
    """False in a class for loops of one forward pass a step: nothing is hooked onto the optimizer then."""

    checks_calls: ClassVar[bool] = True
    """False in a class for loops that are known to call ``step()`` once per epoch."""

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        *,
        loss: str | nn.Module = "cross-entropy",
        measure: str = "hook",
        batches: Batches | None = None,
        fraction: float = 0.1,
        policy: str = "adaptive",
        initial_lr: float | None = None,
        scale: float = 1.0,
        time_decay: float = 0.0,
        max_lr: float | None = None,
        norms: str = "parameters",
        bound: str = "paper",
        bias_correction: bool = False,
        rule: str | None = None,
        l2: float | None = None,
        head: nn.Module | str | None = None,
        batch_size: int | None = None,
        tau: float = 0.5,
        delta: float = 1.0,
        target_norm: float | None = None,
        accumulate: int | None = None,
        accumulated: str = "mean",
        process_group: Any = None,
        initial_k1: float = 0.0,
        initial_k2: float = 0.0,
        seed: int = 0,
        last_epoch: int = -1,
    ) -> None:
        arguments = Arguments(
            loss=loss,
            measure=measure,
            batches=batches,
            fraction=fraction,
            policy=policy,
            initial_lr=initial_lr,
            scale=scale,
            time_decay=time_decay,
            max_lr=max_lr,
            norms=norms,
            bound=bound,
            bias_correction=bias_correction,
            rule=rule,
            l2=l2,
            batch_size=batch_size,
            tau=tau,
            delta=delta,
            target_norm=target_norm,
            accumulate=accumulate,
            accumulated=accumulated,
            initial_k1=initial_k1,
            initial_k2=initial_k2,
            seed=seed,
        )
        complaints = Complaints()
        last_layer = arguments.find_head(model, head, complaints)
        self._choices = arguments.rate_choices()
        self._head_group, self.settings = self._choices.settings(last_layer, optimizer, complaints)
        ranks = ranks_of(model, process_group)
        if ranks is not None:
            check_ranks(complaints, self.settings)
        complaints.raise_any()
        self._process_group = process_group
        self.rate = LipschitzRate(self.settings)
        measured = arguments.meter_settings(self.settings, steps=self.watches_steps)
        self._meter = Meter(model, last_layer, measured, ranks, label_watch(loss))
        self._check = PerBatchCheck(model) if self.watches_steps and self.checks_calls else None
        self.time_decay = float(time_decay)
        self.estimate_seconds = 0.0
        self._steps = 0
        super().__init__(optimizer, last_epoch)
        self._watch_steps()

    # -- what set the current rate ------------------------------------------------------------------

    @property
    def constant(self) -> float | None:
        """L behind the current rate; None where no measurement set it."""
        return self.rate.constant

    @property
    def kz(self) -> float | None:
        """Kz behind the current rate; None where no measurement set it."""
        return self.rate.kz

    @property
    def weight_norm(self) -> float | None:
        """w̄ behind the current rate; None where no measurement set it."""
        return self.rate.weight_norm

    @property
    def rejected(self) -> int:
        """The number of measurements without a usable rate."""
        return self.rate.rejected

    # -- the scheduler's contract -------------------------------------------------------------------

    def get_lr(self) -> list[float | Tensor]:
        """Return the rates of the coming epoch, one per parameter group; measures within ``step()``."""
        groups, known = len(self.optimizer.param_groups), len(self.base_lrs)
        if groups != known:
            raise refusal(
                "optimizer",
                type(self.optimizer).__name__,
                f"has {groups} parameter groups, and had {known} when the scheduler was made: the rates of"
                " those that were added are not known",
                "Make a new scheduler after add_param_group; or give all groups from the start, and let"
                " requires_grad freeze and unfreeze them.",
            )
        if steps_now(self):
            self._begin_epoch()
        decay = 1 + self.time_decay * self._steps
        return [lr / decay for lr in self._undecayed()]

    def close(self) -> None:
        """Take the hooks off model and optimizer; the rate then stays as it is. May be called twice."""
        self._meter.close()
        if self._check is not None:
            self._check.remove()
        self._finalizer()

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers (and None, and lists and dicts of them) only; in mid-epoch too."""
        return {
            **scheduler_state(self),
            "steps": self._steps,
            "estimate_seconds": self.estimate_seconds,
            "rate": self.rate.state_dict(),
            "seen": self._meter.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the trajectory of the scheduler that returned ``state_dict``.

        As with every torch scheduler, the rates in the optimizer come with the optimizer's own state.
        ``SchedulerError`` if the state is not a ``LipschitzLR``'s with the same options and groups.
        """
        missing = self.state_dict().keys() - state_dict.keys()
        if missing or len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise SchedulerError(
                Problem(
                    "LipschitzLR",
                    "state_dict",
                    f"lacks {', '.join(sorted(missing))}"
                    if missing
                    else "has another number of parameter groups",
                    "Give what LipschitzLR.state_dict() returned for the same optimizer.",
                )
            )
        self.rate.load_state_dict(state_dict["rate"])
        self._meter.load_state_dict(state_dict["seen"])
        load_scheduler_state(self, state_dict)
        self._steps, self.estimate_seconds = state_dict["steps"], state_dict["estimate_seconds"]

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_finalizer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # A copied optimizer has lost torch's mark of a step taken, without which torch would warn.
        skip_order_warning(self)
        self._watch_steps()

    # -- inside -------------------------------------------------------------------------------------

    def _begin_epoch(self) -> None:
        """Measure, if this epoch's rate comes from a measurement."""
        self.estimate_seconds = 0.0
        first = self.last_epoch <= 0
        if first:
            # Also when SequentialLR steps its first scheduler again, or starts this one at its milestone.
            self.rate.restart()
        unmeasured_start = self.settings.initial_lr is not None or self.settings.policy == "fixed"
        starts = starts_now(self)
        if starts and (self._meter.way == "hook" or (first and unmeasured_start)):
            return
        if self.rate.settled or self._meter.closed:
            return
        self._refuse_ranks_of_later()
        if self._check is not None and not starts:
            self._check.scheduler_stepped(self._meter.steps)
        self.rate.update(self._meter.measure(self.last_epoch))
        self.estimate_seconds = self._meter.seconds

    def _undecayed(self) -> list[float]:
        base = [float(lr) for lr in self.base_lrs]
        rate = self.rate.value
        if rate is None:
            rate = self.settings.initial_lr
            if rate is None:
                return base
            rate = min(rate, self.settings.max_lr or math.inf)
        reference = base[self._head_group]
        return [rate if lr == reference else rate * lr / reference for lr in base]

    def _refuse_ranks_of_later(self) -> None:
        """Raise ``SchedulerError`` if torch.distributed was initialised after the scheduler was made."""
        if self._meter.ranks is None:
            ranks_of(self._meter.model, self._process_group)

    def _watch_steps(self) -> None:
        """Hook onto the optimizer's steps, if they are counted or the rate decays with them."""
        self._meter.found = weakly(self._take_head)
        self._finalizer = weakref.finalize(self, _nothing)
        if self.time_decay or self.watches_steps:
            # A weak reference: the optimizer must not keep a dropped scheduler alive.
            after_step = weakly(self._after_optimizer_step)
            handle = self.optimizer.register_step_post_hook(lambda *_: after_step())
            self._finalizer = weakref.finalize(self, handle.remove)
        self._finalizer.atexit = False

    def _take_head(self, layer: nn.Module) -> None:
        """Set what depends on the last linear layer, which the first training pass has found."""
        complaints = Complaints()
        self._head_group, self.settings = self._choices.settings(layer, self.optimizer, complaints)
        complaints.raise_any()
        self.rate.take_settings(self.settings)
        if self.settings.initial_lr is not None and self.rate.value is None:
            self._write(self.get_lr())

    def _after_optimizer_step(self) -> None:
        # A fused optimizer steps even if a gradient scaler found an infinity, and changes nothing.
        self._meter.end_step(skipped_by_scaler(self.optimizer))
        if not self.time_decay:
            return
        self._steps += 1
        self._write(self.get_lr())

    def _write(self, rates: list[float | Tensor]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
        keep_last_rates(self)


def _nothing() -> None:
    pass
