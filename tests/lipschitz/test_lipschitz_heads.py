"""The head is the layer whose output is the model's: found by one forward pass, or refused by name."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import pytest
import torch
from lipschitz_nets import fresh_random_state, small_net
from torch import nn
from torch.nn.utils import parametrizations
from torch.optim import SGD

from lrstudy import LipschitzLR
from lrstudy.errors import SchedulerError
from lrstudy.lipschitz import find_head

_seeded = pytest.fixture(autouse=True)(fresh_random_state)


class Pair(NamedTuple):
    logits: torch.Tensor
    aux_logits: torch.Tensor


class Net(nn.Module):
    """The head is registered first; ``ends`` makes the output of its output and the hidden units."""

    def __init__(self, ends, head=None):
        super().__init__()
        self.head = head or nn.Linear(6, 3)
        self.body = nn.Linear(5, 6)
        self.other = nn.Linear(6, 3)
        self.ends = ends

    def forward(self, x):
        hidden = self.body(x).relu()
        return self.ends(self, self.head(hidden), hidden)


FOUND = {
    "as it is": lambda net, z, h: z,
    "an auxiliary head besides": lambda net, z, h: (net.other(h), z)[1],
    "laid out anew": lambda net, z, h: z.unsqueeze(1).flatten(1),
    "transposed and copied": lambda net, z, h: z.t().contiguous().t(),
    "cast": lambda net, z, h: z.bfloat16().float(),
    "a dict with logits": lambda net, z, h: {"logits": z, "hidden": h},
    "an ordered dict with a loss": lambda net, z, h: OrderedDict(loss=z.sum(), scores=z),
    "a named tuple with logits": lambda net, z, h: Pair(z, net.other(h)),
    "a tuple with a loss": lambda net, z, h: (z.sum(), z),
}
REFUSED = {
    "a temperature": lambda net, z, h: z / 2,
    "a temperature in place": lambda net, z, h: z.div_(2),
    "rectified": lambda net, z, h: z.relu(),
    "a part": lambda net, z, h: z[:, :2],
    "dropped out": lambda net, z, h: nn.functional.dropout(z, training=net.training),
    "a sum of two heads": lambda net, z, h: z + net.other(h),
    "two heads side by side": lambda net, z, h: torch.cat([z, net.other(h)], 1),
    "a residual": lambda net, z, h: z + h[:, :3],
    "tied by a function": lambda net, z, h: nn.functional.linear(h, net.body.weight.t()),
    "called twice": lambda net, z, h: net.head(h),
    "a tuple of two": lambda net, z, h: (z, h),
    "a list of heads": lambda net, z, h: [z, net.other(h)],
    "other classes": lambda net, z, h: z.reshape(-1, 9, 1, 1).squeeze(-1),
    "nothing": lambda net, z, h: None,
}


def _trained(model, **options):
    """The scheduler after a step of training, in which the first pass has told the head."""
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, model, **options)
    outputs = model(torch.randn(9, 5))
    outputs = outputs.get("logits", outputs.get("scores")) if isinstance(outputs, dict) else outputs
    if isinstance(outputs, tuple):
        outputs = outputs[0] if isinstance(outputs, Pair) else outputs[1]
    outputs.sum().backward()
    optimizer.step()
    scheduler.step()
    return scheduler


@pytest.mark.parametrize("way", ["in training", "by a batch", "by find_head"])
@pytest.mark.parametrize("ends", FOUND)
def test_the_head_is_found(ends, way):
    model = Net(FOUND[ends])
    if way == "by find_head":
        found = find_head(model, inputs=torch.randn(9, 5))
    else:
        options = {"batches": [torch.randn(9, 5)]} if way == "by a batch" else {}
        found = _trained(model, **options)._meter.head
    assert found is model.head
    assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()) <= 2


@pytest.mark.parametrize("way", ["in training", "by a batch"])
@pytest.mark.parametrize("ends", REFUSED)
def test_what_is_no_layers_output_is_refused_with_the_layers_to_choose_from(ends, way):
    model = Net(REFUSED[ends])
    options = {"batches": [torch.randn(9, 5)]} if way == "by a batch" else {}
    if ends == "dropped out" and way == "by a batch":
        return  # not in evaluation mode, in which a batch is tried
    with pytest.raises(SchedulerError, match=r"head") as caught:
        _trained(model, **options)
    assert "by head=" in str(caught.value)
    assert all(name in str(caught.value) for name in ("head", "body", "other"))
    named = LipschitzLR(SGD(model.parameters(), lr=0.1), model, head="head", **options)
    assert named._meter.head is model.head


class Cosine(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(nn.functional.normalize(x), nn.functional.normalize(self.weight))


def test_a_linear_layer_with_a_forward_of_its_own_is_not_taken_for_one():
    model = Net(FOUND["as it is"], Cosine(6, 3))
    with pytest.raises(SchedulerError, match="none of its linear layers"):
        _trained(model)
    assert isinstance(parametrizations.weight_norm(nn.Linear(6, 3)), nn.Linear)
    model = Net(FOUND["as it is"], parametrizations.weight_norm(nn.Linear(6, 3)))
    assert _trained(model)._meter.head is model.head


class Classes(nn.Module):
    """An image's classes at every position, by a convolution."""

    def __init__(self, pool, **shape):
        super().__init__()
        self.head = nn.Conv2d(4, 3, **{"kernel_size": 1, **shape})
        self.body = nn.Conv2d(1, 4, 3)
        self.pool = pool

    def forward(self, x):
        hidden = self.body(x).relu()
        if self.pool == "before":
            return self.head(hidden.mean((2, 3), keepdim=True)).flatten(1)
        found = self.head(hidden)
        return found.mean((2, 3)) if self.pool == "after" else found


@pytest.mark.parametrize(("pool", "rows"), [("none", 5 * 16), ("before", 5)])
def test_a_1x1_convolution_has_a_row_at_every_position(pool, rows):
    model = Classes(pool).double()
    x = torch.randn(5, 1, 6, 6).double()
    optimizer = SGD(model.parameters(), lr=0.1)
    for measure in ("hook", "pass"):
        scheduler = LipschitzLR(optimizer, model, measure=measure, batches=[x])
        with torch.no_grad():
            hidden = model.body(x).relu()
            hidden = hidden.mean((2, 3)) if pool == "before" else hidden
        if measure == "hook":
            y = torch.zeros((5,) if pool == "before" else (5, 4, 4), dtype=torch.long)
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            scheduler.step()
        assert scheduler.kz == pytest.approx(float(hidden.norm()), rel=1e-12)
        assert scheduler.constant == pytest.approx(2 / (3 * rows) * scheduler.kz, rel=1e-12)
        optimizer.param_groups[0]["lr"] = 0.0


@pytest.mark.parametrize(
    ("pool", "shape"),
    [
        ("after", {}),
        ("none", {"kernel_size": 3}),
        ("none", {"stride": 2}),
        ("none", {"padding": 1}),
    ],
)
def test_other_convolutions_are_refused(pool, shape):
    model = Classes(pool, **shape)
    with pytest.raises(SchedulerError):
        LipschitzLR(SGD(model.parameters(), lr=0.1), model, batches=[torch.randn(5, 1, 6, 6)])
    if shape:
        with pytest.raises(SchedulerError, match="no 1×1 convolution"):
            LipschitzLR(SGD(model.parameters(), lr=0.1), model, head="head")


@pytest.mark.parametrize("end", [lambda z: z[:, 0], lambda z: z[..., 0], lambda z: z[:, :1].squeeze(1)])
def test_the_only_output_may_be_selected(end):
    model = Net(lambda net, z, h: end(z), nn.Linear(6, 1))
    assert _trained(model, loss="binary-cross-entropy")._meter.head is model.head


def test_a_sequential_tells_its_head_by_its_build():
    assert find_head(small_net()).out_features == 3
    shared = nn.Linear(5, 5)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    with pytest.raises(SchedulerError, match="called 2 times"):
        LipschitzLR(SGD(model.parameters(), lr=0.1), model, batches=[torch.randn(2, 5)])
    several = nn.Sequential(nn.Linear(5, 6), nn.Unflatten(1, (2, 3)))  # two rows of three classes
    with pytest.raises(SchedulerError, match="as its classes"):
        LipschitzLR(SGD(several.parameters(), lr=0.1), several, batches=[torch.randn(2, 5)])


def test_finding_the_head_leaves_random_states_and_batch_norm_alone():
    model = Net(FOUND["as it is"])
    model.body = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Dropout())
    before, random = {name: t.clone() for name, t in model.state_dict().items()}, torch.get_rng_state()
    batches = [torch.ones(9, 5)]
    LipschitzLR(SGD(model.parameters(), lr=0.1), model, batches=batches)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    torch.testing.assert_close((dict(model.state_dict()), torch.get_rng_state()), (before, random))


def test_a_forward_pass_of_the_model_may_be_wrapped():
    for wrap in (nn.DataParallel, lambda m: torch.compile(m, backend="eager")):
        model = Net(FOUND["as it is"])
        assert find_head(wrap(model), inputs=torch.randn(9, 5)) is model.head
        assert _trained(wrap(model))._meter.head is model.head


@pytest.mark.parametrize("head", ["fc", nn.Linear(2, 2), ""])
def test_a_head_of_a_model_that_has_none_is_refused_without_an_empty_list(head):
    with pytest.raises(SchedulerError, match=r"There is none to choose from\.$"):
        find_head(nn.Sequential(nn.ReLU()), head)
