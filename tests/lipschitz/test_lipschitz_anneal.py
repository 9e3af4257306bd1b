"""The rates annealed over the training, and the limits that depend on the epochs before."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lipschitz_nets import fresh_random_state
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR

from lrstudy import LipschitzLR
from lrstudy.errors import SchedulerError
from lrstudy.lipschitz.anneal import Anneal
from lrstudy.lipschitz.limits import Limits

_seeded = pytest.fixture(autouse=True)(fresh_random_state)

RATE = 12 / math.sqrt(32)  # 1/L of eight rows of four ones and three classes


def loop(**options):
    """A softmax regression on rows of ones, and a function that takes steps and returns their rates."""
    model = nn.Linear(4, 3)
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, model, **options)
    used: list[float] = []
    optimizer.register_step_pre_hook(lambda *_: used.append(optimizer.param_groups[0]["lr"]))

    def epoch(steps: int, **named) -> list[float]:
        used.clear()
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.ones(8, 4)), torch.zeros(8).long()).backward()
            optimizer.step()
        scheduler.step(**named)
        return list(used)

    return scheduler, epoch


def test_a_cosine_ends_at_zero_as_the_projects_cosine_does():
    _, epoch = loop(anneal="cosine", total_steps=4)
    half = math.sqrt(0.5) / 2
    assert epoch(2) == pytest.approx([0.1, 0.1 * (0.5 + half)])
    assert epoch(2) == pytest.approx([RATE * 0.5, RATE * (0.5 - half)])
    assert epoch(2) == [0.0, 0.0]  # beyond the planned training


def test_a_line_ends_at_zero_and_begins_after_the_warmup():
    _, epoch = loop(anneal="linear", total_steps=6, warmup_steps=2)
    assert epoch(3) == pytest.approx([0.1, 0.1, 0.1])
    assert epoch(3) == pytest.approx([RATE * 0.75, RATE * 0.5, RATE * 0.25])


def test_keras_has_the_authors_end_at_any_length_and_their_decay_where_it_is_given():
    _, epoch = loop(anneal="keras", total_steps=4)
    assert epoch(2) == pytest.approx([0.1, 0.1 / (1 + 117.3 / 4)])
    assert epoch(2) == pytest.approx([RATE / (1 + 117.3 / 2), RATE / (1 + 117.3 * 3 / 4)])
    _, given_decay = loop(anneal="keras", time_decay=0.5)
    _, decay_alone = loop(time_decay=0.5)
    assert given_decay(3) == decay_alone(3) == pytest.approx([0.1, 0.1 / 1.5, 0.1 / 2])


@given(steps=st.integers(1, 40), shape=st.sampled_from(["cosine", "linear"]))
@settings(max_examples=10, deadline=None)
def test_the_factors_are_those_of_torchs_schedulers(steps, shape):
    optimizer = SGD([torch.zeros(1)], lr=1.0)
    torchs = {
        "cosine": lambda: CosineAnnealingLR(optimizer, steps),
        "linear": lambda: LinearLR(optimizer, 1.0, 0.0, total_iters=steps),
    }[shape]()
    ours = Anneal(shape, steps=steps)
    for step in range(steps):
        assert ours.apply(1.0, step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        torchs.step()


def test_several_passes_of_a_step_count_once():
    model = nn.Linear(4, 3)
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = LipschitzLR(optimizer, model, anneal="linear", total_steps=4)
    for _ in range(2):
        for _ in range(3):
            (nn.functional.cross_entropy(model(torch.ones(8, 4)), torch.zeros(8).long()) / 3).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert scheduler.get_last_lr() == pytest.approx([0.05])


@pytest.mark.parametrize(
    ("options", "key", "words"),
    [
        ({"anneal": "cosine"}, "total_steps", "is needed by anneal='cosine'"),
        ({"anneal": "keras"}, "total_steps", "is needed"),
        ({"anneal": "linear", "total_steps": 5, "time_decay": 0.1}, "time_decay", "second annealing"),
        ({"anneal": "linear", "total_steps": 5, "warmup_steps": 5}, "warmup_steps", "leaves nothing"),
        ({"anneal": "cosin", "total_steps": 5}, "anneal", "is not known"),
        ({"max_growth": 0.0}, "max_growth", "out of range"),
        ({"cap": "last"}, "cap", "is not known"),
        ({"squares": "kz"}, "squares", "is not known"),
        ({"bound": "network"}, "batches", "is measured on them"),
        ({"bound": "network", "measure": "pass", "batches": []}, "batches", "is empty"),
    ],
)
def test_what_cannot_be_annealed_or_limited_is_refused(options, key, words):
    with pytest.raises(SchedulerError) as caught:
        loop(**options)
    assert any(problem.key == key and words in problem.message for problem in caught.value.problems)


def test_a_rate_grows_by_at_most_the_factor_given():
    _, epoch = loop(max_growth=3.0)
    assert [epoch(1)[0] for _ in range(4)] == pytest.approx([0.1, 0.3, 0.9, RATE])
    _, annealed = loop(max_growth=3.0, anneal="linear", total_steps=4)  # the limit is of the rate before it
    assert [annealed(1)[0] for _ in range(4)] == pytest.approx([0.1, 0.3 * 0.75, 0.9 * 0.5, RATE * 0.25])
    _, started = loop(max_growth=3.0, initial_lr=0.5)
    assert [started(1)[0] for _ in range(3)] == pytest.approx([0.5, 1.5, RATE])


def test_a_loss_that_rose_caps_the_rate_at_the_last_good_ones():
    scheduler, epoch = loop(cap="last-good", max_growth=2.0)
    rates = [epoch(1, loss=loss)[0] for loss in (1.0, 0.8, 0.9, 0.95, 0.7, math.nan, 0.6)]
    # 0.4 made the loss rise, so that 0.2, the last rate before it, holds until it falls.
    assert rates == pytest.approx([0.1, 0.2, 0.4, 0.2, 0.2, 0.4, 0.2])
    assert scheduler.get_last_lr() == pytest.approx([0.4])


def test_a_cap_needs_the_loss():
    _, epoch = loop(cap="last-good")
    with pytest.raises(SchedulerError, match=r"step\(loss="):
        epoch(1)


def test_a_cap_before_anything_was_good_is_the_first_rate():
    limits = Limits(None, "last-good")
    limits.note_epoch(0.1, math.nan)
    assert limits.apply(5.0, 0.1) == 0.1
    limits.note_epoch(0.1, 2.0)
    assert limits.apply(5.0, 0.1) == 5.0


@given(
    losses=st.lists(st.one_of(st.floats(0, 10), st.just(math.nan)), min_size=1, max_size=12),
    rates=st.lists(st.floats(1e-3, 1e3), min_size=12, max_size=12),
    growth=st.one_of(st.none(), st.floats(0.5, 4)),
    stop=st.integers(0, 12),
)
def test_limited_rates_keep_their_limits_and_continue_from_a_state(losses, rates, growth, stop):
    limits, previous = Limits(growth, "last-good"), 0.1
    for epoch, (loss, rate) in enumerate(zip(losses, rates, strict=False)):
        if epoch == stop:
            resumed = Limits(growth, "last-good")
            resumed.load_state_dict(limits.state_dict())
            limits = resumed
        limits.note_epoch(previous, loss)
        limited = limits.apply(rate, previous)
        assert limited <= rate
        assert growth is None or limited <= growth * previous
        fell = math.isfinite(loss) and all(not loss >= earlier for earlier in _last_finite(losses[:epoch]))
        assert fell or limited <= max([0.1, *rates])
        if fell and growth is None:
            assert limited == rate
        previous = limited


def _last_finite(losses):
    return [loss for loss in losses if math.isfinite(loss)][-1:]
