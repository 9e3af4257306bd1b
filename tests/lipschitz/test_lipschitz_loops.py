"""LipschitzLR where a step is more, or other, than one forward pass: against a float64 twin, or refused."""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings

import pytest
import torch
from lipschitz_nets import fresh_random_state, small_net
from lipschitz_twin import paper_rate
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.utils.checkpoint import checkpoint

from lrstudy import LipschitzLR
from lrstudy.errors import SchedulerError

_seeded = pytest.fixture(autouse=True)(fresh_random_state)

CLASSES = 3
cross_entropy = nn.functional.cross_entropy


class Net(nn.Module):
    """Heads in every place; ``kind`` says which layer gives the output, and how."""

    def __init__(self, kind: str = "last") -> None:
        super().__init__()
        if kind == "first":
            self.head = nn.Linear(4, CLASSES)
        self.body = nn.Linear(5, 4)
        self.body.requires_grad_(kind != "frozen-body")
        if kind == "convolution":
            self.head = nn.Conv1d(4, CLASSES, 1)
        elif kind == "tied":
            self.words = nn.Embedding(CLASSES, 4)
            self.head = nn.Linear(4, CLASSES, bias=False)
            self.head.weight = self.words.weight
        elif kind != "first":
            self.head = nn.Linear(4, CLASSES)
        self.auxiliary = nn.Linear(4, 7)  # registered last, and no part of the output
        if kind == "frozen-head":
            self.head.requires_grad_(False)
        self.kind = kind
        self.double()

    def hidden(self, x: Tensor) -> Tensor:
        hidden = self.body(x).relu() + 0.1
        if self.kind == "tied":
            hidden = hidden + self.words(torch.zeros(x.shape[:-1], dtype=torch.long))
        return hidden

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.hidden(x)
        self.auxiliary(hidden)
        if self.kind == "convolution":
            return self.head(hidden.movedim(-1, 1))
        return self.head(hidden)


def batches_of(rows: list[int], kind: str = "last", seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(seed)
    time = (6,) if kind in ("sequence", "convolution") else ()
    return [
        (
            torch.randn(m, *time, 5, generator=g, dtype=torch.float64),
            torch.randint(CLASSES, (m, *time), generator=g),
        )
        for m in rows
    ]


def loss_of(outputs: Tensor, targets: Tensor, kind: str) -> Tensor:
    return cross_entropy(outputs.movedim(-1, 1) if kind == "sequence" else outputs, targets)


class Loop:
    """A training loop that notes, by itself, what entered the head in each step that was taken."""

    def __init__(self, model, run=None, kind="last", optimizer=None, **options):
        self.model, self.run, self.kind = model, model if run is None else run, kind
        self.optimizer = optimizer or SGD(model.parameters(), lr=1e-3)
        self.scheduler = LipschitzLR(self.optimizer, self.run, **options)
        self.steps: list[list] = []

    def inputs_of_head(self, x: Tensor):
        with torch.no_grad():
            return self.model.hidden(x).reshape(-1, 4).numpy().copy()

    def step(self, micro_batches, *, taken: bool = True) -> None:
        seen = []
        for x, y in micro_batches:
            seen.append(self.inputs_of_head(x))
            (loss_of(self.run(x), y, self.kind) / len(micro_batches)).backward()
        if taken:
            self.optimizer.step()
            self.steps.append(seen)
        self.optimizer.zero_grad()

    def epoch(self, batches, accumulate: int = 1) -> None:
        for start in range(0, len(batches), accumulate):
            self.step(batches[start : start + accumulate])

    def agrees(self) -> None:
        self.scheduler.step()
        expected = paper_rate(self.steps, CLASSES)
        assert self.scheduler.get_last_lr()[0] == pytest.approx(expected, rel=1e-9)
        self.optimizer.param_groups[0]["lr"] = 1e-3
        self.steps = []


KINDS = ["last", "first", "tied", "convolution", "sequence", "frozen-body", "frozen-head"]


@pytest.mark.parametrize("accumulate", [1, 2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_every_head_and_accumulation_follows_the_twin(kind, accumulate):
    loop = Loop(Net(kind), kind=kind)
    batches = batches_of([8, 8, 8, 8, 8, 8, 3], kind)  # the last step is short, and so is its micro-batch
    for _ in range(3):
        loop.epoch(batches, accumulate)
        loop.agrees()


@pytest.mark.parametrize("bound", ["paper", "valid", "smoothness"])
@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
def test_four_micro_batches_are_one_batch(bound, loss):
    def constant(parts, **options):
        torch.manual_seed(3)
        model = small_net()
        optimizer = Adam(model.parameters(), lr=1e-3)
        scheduler = LipschitzLR(optimizer, model, loss=loss, bound=bound, **options)
        [(x, y)] = batches_of([64])
        y = y if loss == "cross-entropy" else torch.randn(64, 3).double()
        function = nn.functional.cross_entropy if loss == "cross-entropy" else nn.functional.mse_loss
        for part, target in zip(x.chunk(parts), y.chunk(parts), strict=True):
            (function(model(part), target) / parts).backward()
        optimizer.step()
        scheduler.step()
        return scheduler.constant, scheduler.kz, scheduler.get_last_lr()[0]

    options = {"target_norm": 9.0} if loss == "mse" else {}
    assert constant(4, **options) == pytest.approx(constant(1, **options), rel=1e-9)


def test_losses_that_are_summed_over_micro_batches_make_a_gradient_so_many_times_as_large():
    constants = []
    for accumulated in ("mean", "sum"):
        torch.manual_seed(0)
        loop = Loop(Net(), accumulated=accumulated)
        loop.epoch(batches_of([8] * 8), 4)
        loop.scheduler.step()
        constants.append(loop.scheduler.constant)
    assert constants[1] == pytest.approx(4 * constants[0], rel=1e-12)


def test_a_pass_puts_its_batches_together_as_told():
    batches = batches_of([8, 8, 8, 8, 3])
    loop = Loop(Net(), measure="pass", batches=batches, accumulate=2)
    steps = [[loop.inputs_of_head(x) for x, _ in batches[i : i + 2]] for i in (0, 2, 4)]
    assert loop.scheduler.get_last_lr()[0] == pytest.approx(paper_rate(steps, CLASSES), rel=1e-9)


def test_a_pass_that_was_not_told_of_accumulation_is_refused_after_an_epoch_of_it():
    loop = Loop(Net(), measure="pass", batches=batches_of([8] * 8))
    loop.epoch(batches_of([8] * 8), 4)
    with pytest.raises(SchedulerError, match="accumulate=4"):
        loop.scheduler.step()


def test_targets_of_single_batches_are_not_taken_for_those_of_a_step():
    model = small_net()
    optimizer = SGD(model.parameters(), lr=1e-3)
    x, y = torch.randn(16, 5).double(), torch.randn(16, 3).double()
    batches = list(zip(x.split(4), y.split(4), strict=True))

    def train(scheduler):
        for part, target in batches:
            (nn.functional.mse_loss(model(part), target) / 4).backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()

    with pytest.raises(SchedulerError, match=r"accumulate=4.*target_norm="):
        train(LipschitzLR(optimizer, model, loss="mse", batches=batches))
    told = LipschitzLR(optimizer, model, loss="mse", batches=batches, accumulate=4)
    train(told)
    known = LipschitzLR(optimizer, model, loss="mse", target_norm=float(y.norm()))
    optimizer.param_groups[0]["lr"] = 0.0
    train(known)
    told.close()
    assert told.kz == pytest.approx(known.kz, rel=1e-2)


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize("fused", [False, True])
def test_a_step_that_a_gradient_scaler_skips_does_not_count(to_none, fused):
    model = Net()
    optimizer = SGD(model.parameters(), lr=1e-3, fused=fused)
    loop = Loop(model, optimizer=optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    batches = batches_of([8] * 6)
    for i in range(0, 6, 2):
        skipped = i == 2
        seen = []
        for x, y in batches[i : i + 2]:
            x = 1000 * x if skipped else x
            seen.append(loop.inputs_of_head(x))
            loss = cross_entropy(model(x), y) / 2
            scaler.scale(loss * torch.inf if skipped else loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=to_none)
        if not skipped:
            loop.steps.append(seen)
    loop.agrees()


def test_passes_without_a_step_of_their_own_do_not_count():
    loop = Loop(Net())
    big = batches_of([20], seed=5)[0][0] * 100
    for x, y in batches_of([8] * 3):
        loop.model(big)  # a metric in training mode: no backward pass
        with torch.no_grad():
            loop.model(big)
        loop.model.eval()
        cross_entropy(loop.model(big), torch.zeros(20).long()).backward()  # a saliency map
        loop.optimizer.zero_grad()
        loop.model.train()
        attacked = big.clone().requires_grad_()
        torch.autograd.grad(loop.model(attacked).sum(), attacked)  # an adversary's
        loop.step([(x, y)])
    loop.agrees()


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_pass_counts_once(reentrant):
    class Checkpointed(Net):
        def forward(self, x):
            return checkpoint(super().forward, x.requires_grad_(), use_reentrant=reentrant)

    loop = Loop(Checkpointed("first"))
    loop.epoch(batches_of([8, 8, 5]), 2)
    loop.agrees()


def test_two_passes_in_one_backward_are_one_batch():
    loop = Loop(Net("first"))
    (x, y), (other, _) = batches_of([8, 8])
    for _ in range(2):
        seen = [loop.inputs_of_head(x), loop.inputs_of_head(other)]
        ((cross_entropy(loop.model(x), y) + cross_entropy(loop.model(other), y)) / 2).backward()
        loop.optimizer.step()
        loop.optimizer.zero_grad()
        loop.steps.append(seen)
    loop.agrees()


def test_gradients_that_wait_for_the_next_epoch_count_there():
    loop = Loop(Net())
    batches = batches_of([8] * 3)
    loop.step(batches[:1])
    left_over = loop.inputs_of_head(batches[1][0])
    (cross_entropy(loop.model(batches[1][0]), batches[1][1]) / 2).backward()
    loop.agrees()
    loop.step(batches[2:])
    loop.steps[0].insert(0, left_over)
    loop.agrees()


def test_mixed_precision_measures_what_enters_the_head():
    loop = Loop(Net("first").float())
    for x, y in batches_of([8, 8]):
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
            seen = loop.model.hidden(x.float()).double().numpy()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cross_entropy(loop.model(x.float()), y).backward()
        loop.optimizer.step()
        loop.optimizer.zero_grad()
        loop.steps.append([seen])
    loop.scheduler.step()
    assert loop.scheduler.get_last_lr()[0] == pytest.approx(paper_rate(loop.steps, CLASSES), rel=1e-6)


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda whole: pickle.loads(pickle.dumps(whole))}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("epochs", [0, 1])
def test_a_copy_counts_its_own_steps(how, epochs):
    loop = Loop(Net("first"))
    batches = batches_of([8, 8, 8, 3])
    for _ in range(epochs):
        loop.epoch(batches, 2)
        loop.agrees()
    copied = COPIES[how](loop)
    copied.epoch(batches, 2)
    copied.agrees()
    loop.epoch(batches[:3], 3)
    loop.agrees()


def test_groups_follow_the_head_that_the_first_pass_finds():
    model = Net("first")
    groups = [
        {"params": model.auxiliary.parameters(), "lr": 0.01},
        {"params": model.body.parameters(), "lr": 0.02},
        {"params": model.head.parameters(), "lr": 0.1},
    ]
    loop = Loop(model, optimizer=SGD(groups), initial_lr=0.5)
    loop.epoch(batches_of([8, 8]))
    assert [g["lr"] for g in loop.optimizer.param_groups] == pytest.approx([0.05, 0.1, 0.5])
    loop.scheduler.step()
    rates = loop.scheduler.get_last_lr()
    assert rates[2] == pytest.approx(paper_rate(loop.steps, CLASSES), rel=1e-9)
    assert rates[:2] == pytest.approx([rates[2] / 10, rates[2] / 5])


def test_groups_that_are_added_later_are_refused():
    model = Net()
    loop = Loop(model, optimizer=SGD(model.head.parameters(), lr=1e-3))
    loop.epoch(batches_of([8, 8]))
    loop.agrees()
    loop.optimizer.add_param_group({"params": list(model.body.parameters()), "lr": 1e-4})
    loop.epoch(batches_of([8, 8]))
    with pytest.raises(SchedulerError, match=r"has 2 parameter groups, and had 1.*add_param_group"):
        loop.scheduler.step()


@pytest.mark.parametrize("to_none", [True, False])
def test_a_frozen_head_over_an_embedding_with_sparse_gradients(to_none):
    words = nn.Embedding(9, 4, sparse=True)
    model = nn.Sequential(words, nn.Flatten(), nn.Linear(12, CLASSES)).double()
    model[2].requires_grad_(False)
    optimizer = SGD(words.parameters(), lr=1e-3)
    scheduler = LipschitzLR(optimizer, model)
    seen = []
    for rows in (8, 6, 3):
        x = torch.randint(9, (rows, 3))
        seen.append([words(x).detach().flatten(1).numpy().copy()])
        optimizer.zero_grad(to_none)
        cross_entropy(model(x), torch.randint(CLASSES, (rows,))).backward()
        optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr()[0] == pytest.approx(paper_rate(seen, CLASSES), rel=1e-9)


# -- the compiler -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["last", "first", "convolution", "sequence"])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("fullgraph", [True, False])
def test_a_model_compiled_before_the_scheduler_is_made(kind, accumulate, fullgraph):
    torch._dynamo.reset()
    model = Net(kind)
    run = torch.compile(model, backend="aot_eager", fullgraph=fullgraph)
    loop = Loop(model, run, kind)
    for _ in range(2):
        loop.epoch(batches_of([8, 8, 8], kind), accumulate)
        loop.agrees()


def test_a_model_compiled_after_the_scheduler_was_made_is_measured_or_refused():
    for head, expected in (("head", None), (None, "compiled forward pass")):
        torch._dynamo.reset()
        model = Net("first")
        loop = Loop(model, head=head)
        loop.run = torch.compile(model, backend="aot_eager")
        loop.epoch(batches_of([8, 8, 8]), 2)
        if expected is None:
            loop.agrees()
        else:
            with pytest.raises(SchedulerError, match=expected):
                loop.scheduler.step()


@pytest.mark.parametrize("given", ["compiled", "bare"])
@pytest.mark.parametrize("head", ["head", None])
def test_a_model_that_ran_compiled_before_is_refused(given, head):
    torch._dynamo.reset()
    model = Net("first")
    run = torch.compile(model, backend="aot_eager")
    batches = batches_of([8, 8, 8])
    cross_entropy(run(batches[0][0]), batches[0][1]).backward()
    optimizer = SGD(model.parameters(), lr=1e-3)
    optimizer.zero_grad()
    loop = Loop(model, run if given == "compiled" else model, optimizer=optimizer, head=head)
    loop.run = run
    loop.epoch(batches)
    with pytest.raises(SchedulerError, match=r"compiled|was not called"):
        loop.scheduler.step()


# -- what the hook does not see ---------------------------------------------------------------------


def test_a_model_in_evaluation_mode_gets_its_own_message():
    for head in (None, "head"):
        loop = Loop(Net("first"), head=head)
        loop.model.eval()
        loop.epoch(batches_of([8]))
        with pytest.raises(SchedulerError, match=r"evaluation mode.*head\.train\(\)"):
            loop.scheduler.step()
    loop.model.head.train()
    loop.epoch(batches_of([8]))
    loop.steps = loop.steps[-1:]
    loop.agrees()


def test_a_model_that_the_training_does_not_call_is_refused():
    loop = Loop(Net("first"))
    loop.run = copy.deepcopy(loop.model)
    loop.epoch(batches_of([8]))
    with pytest.raises(SchedulerError, match="not called itself"):
        loop.scheduler.step()


# -- once per epoch ---------------------------------------------------------------------------------


def test_a_scheduler_that_is_stepped_after_every_batch_is_told_once():
    loop = Loop(Net())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for batch in batches_of([8] * 10):
            loop.step([batch])
            loop.scheduler.step()
    assert ["once per epoch" in str(warning.message) for warning in caught] == [True]


def test_full_batch_training_is_not_taken_for_it():
    loop = Loop(Net())
    [(x, y)] = batches_of([16])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(8):
            order = torch.randperm(16)
            loop.step([(x[order], y[order])])
            loop.scheduler.step()
        loop = Loop(Net())
        for _, batch in itertools.product(range(4), batches_of([8] * 2)):
            loop.step([batch])
            loop.step([batch])
            loop.scheduler.step()
