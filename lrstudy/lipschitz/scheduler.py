"""``LipschitzLR``: a torch learning-rate scheduler that needs no rate, only the network's own activations."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from lrstudy.lipschitz.anneal import anneal_of
from lrstudy.lipschitz.arguments import Arguments
from lrstudy.lipschitz.curvature import Objective
from lrstudy.lipschitz.labels import label_watch
from lrstudy.lipschitz.measured_scheduler import MeasuredScheduler
from lrstudy.lipschitz.meter import Meter
from lrstudy.lipschitz.meter_settings import Batches
from lrstudy.lipschitz.ranks import ranks_of
from lrstudy.lipschitz.refusals import Complaints
from lrstudy.lipschitz.settings import check_ranks


class LipschitzLR(MeasuredScheduler):
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
        anneal: what multiplies the computed rate at every optimizer step of the planned training: ``none``
            (but ``time_decay``); ``keras``: 1/(1 + decay·i) with ``time_decay`` or, without it, 117.3 over
            ``total_steps`` (the authors' 1e-3 over 300 epochs of 391 steps, at any length); ``cosine``,
            ``linear``: to 0 at the end of the training, beginning after ``warmup_steps``.
        total_steps, warmup_steps: for ``anneal``: the optimizer's steps of the training, and those of a
            warm-up by another scheduler.
        max_lr: an upper limit of the rates computed, and of ``initial_lr``.
        max_growth: an upper limit of the ratio of an epoch's rate to the previous one's. Derived here.
        cap: ``last-good``: after an epoch whose training loss did not fall, the next rate is at most that of
            the last epoch whose loss fell. Needs ``step(loss=…)``. Derived here.
        norms: for w̄: ``parameters`` or ``all`` (with batch-norm statistics, as in the authors' code).
        bound: ``paper``: its L. ``valid``: a true bound of the last layer's gradient (√(2/m)·Kz for
            cross-entropy), for batches shorter than m too. ``smoothness``: of the gradient, λ_max(AᵀA)/(2m)
            for cross-entropy. Two of the whole network, derived here, from the loss of one of ``batches``,
            drawn for each epoch: ``network``: λ_max of its Hessian (2/λ_max is the stability limit of
            gradient descent). ``secant``: the smoothness ‖∇E(w′) − ∇E(w)‖/‖w′ − w‖ along the batch's own
            gradient step at the rate in force, w′ = w − rate·∇E(w).
        objective: for these two, the loss of a batch, ``objective(model, batch)``, where the batches are not
            (input, target) pairs or the loss is not one of its outputs.
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
        initial_k: start of AdaMo's average; if not given ``initial_lr``, and without that the first L, so
            that the first rate is 1/L. 0: the formula's own start, whose first rate is 1/((1 − β)·L).
        initial_k1, initial_k2: start of Auto-Adam's and RMSprop's averages (the authors' rescue: 1, 1e-6).
            From 0, the authors' choice, the rate begins √(1 − β2)/(1 − β1) times too high or low (.32 with
            Adam's defaults, .15 after ten epochs, .51 after 300); ``bias_correction`` mends that.
        squares: in K2, ``coded``: c²·max‖A∘A‖_F, as in the authors' code; ``written``: c²·max Kz².
        seed: for ``subset``.
        last_epoch: as in every torch scheduler.

    Several parameter groups keep the ratio of their rates; the group that holds the last linear layer has
    the computed rate. A measurement that gives no rate (Kz zero, NaN or infinite) leaves the last good one,
    is counted in ``rejected`` and logged the first time. What the hook cannot have seen rightly (no forward
    pass in any step, a model in evaluation mode) is a ``SchedulerError`` from ``step()``.

    Raises:
        SchedulerError: (a ``ValueError``) naming every argument that cannot be used, and what can.
    """

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
        initial_k: float | None = None,
        initial_k1: float = 0.0,
        initial_k2: float = 0.0,
        squares: str = "coded",
        anneal: str = "none",
        total_steps: int | None = None,
        warmup_steps: int = 0,
        max_growth: float | None = None,
        cap: str = "none",
        objective: Objective | None = None,
        seed: int = 0,
        last_epoch: int = -1,
    ) -> None:
        arguments = Arguments.of(locals())
        complaints = Complaints()
        last_layer = arguments.find_head(model, head, complaints)
        choices = arguments.rate_choices()
        _, settings = choices.settings(last_layer, optimizer, complaints)
        annealing = anneal_of(anneal, time_decay, total_steps, warmup_steps, complaints)
        ranks = ranks_of(model, process_group)
        if ranks is not None:
            check_ranks(complaints, settings)
        complaints.raise_any()
        measured = arguments.meter_settings(settings, model, steps=self.watches_steps)
        meter = Meter(model, last_layer, measured, ranks, label_watch(loss))
        super().__init__(optimizer, choices, meter, annealing, process_group, last_epoch)
