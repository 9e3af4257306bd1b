"""Users' models: what one trial does, no other may see; the seed decides the weights."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
import torch
from task_specs import make_task

from lrstudy.engine.lanes.eligibility import disagreement
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.errors import ContractError
from lrstudy.records import Phase
from lrstudy.rules.fingerprints import models_agree
from lrstudy.spec import parse_study
from lrstudy.tasks import Pipeline, check_task, load_data
from lrstudy.tasks.fingerprint import data_fingerprint, model_fingerprint

CPU = torch.device("cpu")

MODELS = """
import copy
import random
import numpy as np
import torch
from torch import nn
from torch.nn import functional

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
    def forward(self, x):
        return self.head(self.body(x).relu())

# One for all trials.

NET, BODY, WEIGHT, MEAN, CALLS, KEPT = Net(), nn.Linear(4, 8), torch.randn(8, 4), torch.zeros(4), [], {}

def same_model():
    return NET

class SharedBody(Net):
    def __init__(self):
        super().__init__()
        self.body = BODY

def shared_parameter(weight=nn.Parameter(WEIGHT)):
    net = Net()
    net.body.weight = weight
    return net

def shared_memory():
    net = Net()
    net.body.weight.data = WEIGHT[:]
    return net

def shared_buffer():
    net = Net()
    net.register_buffer("mean", MEAN, persistent=False)
    return net

class Remembering(Net):
    seen = []
    def forward(self, x):
        if self.training:
            self.seen.append(1)
        return super().forward(x) + len(self.seen)

class Handing(Net):
    def __init__(self):
        super().__init__()
        if KEPT:
            self.load_state_dict(KEPT)
    def forward(self, x):
        if self.training:
            KEPT.update(copy.deepcopy(self.state_dict()))
        return super().forward(x)

# Seeds.

def counting_calls():
    net = Net()
    CALLS.append(1)
    nn.init.constant_(net.head.bias, len(CALLS))
    return net

def unseeded_weights():
    net = Net()
    net.body.weight.data = torch.from_numpy(np.random.default_rng().normal(size=(8, 4))).float()
    return net

class UnseededConstant(Net):
    def __init__(self):
        super().__init__()
        self.phase = torch.from_numpy(np.random.default_rng().normal(size=4)).float()
    def forward(self, x):
        return super().forward(x + self.phase)

def own_seed():
    torch.manual_seed(0)
    return Net()

def own_generator():
    net, generator = Net(), torch.Generator().manual_seed(5)
    for parameter in net.parameters():
        nn.init.normal_(parameter, generator=generator)
    return net

def own_seed_put_back():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Net()

# Evaluation and training.

class EndlessDropout(Net):
    def forward(self, x):
        return functional.dropout(super().forward(x), 0.5)

class CountingForward(Net):
    calls = 0
    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls

class MovingMean(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
    def forward(self, x):
        y = super().forward(x)
        self.mean.lerp_(x.mean(0).detach(), 0.1)
        return y

class OtherNoise(Net):
    def forward(self, x):
        y = super().forward(x)
        return y + random.random() if self.training else y

# What a checkpoint does not hold.

class Annealed(Net):
    steps = 0
    def forward(self, x):
        self.steps += self.training
        return super().forward(x) * (1 - 0.9 ** self.steps if self.training else 1)

class OwnNoise(Net):
    def __init__(self):
        super().__init__()
        self.random = torch.Generator().manual_seed(0)
    def forward(self, x):
        y = super().forward(x)
        return y + torch.randn(y.shape, generator=self.random) if self.training else y

class UnsavedMean(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4), persistent=False)
    def forward(self, x):
        if self.training:
            self.mean.add_(x.mean(0))
        return super().forward(x - self.mean)

class SeedingForward(Net):
    def forward(self, x):
        torch.manual_seed(3)
        return functional.dropout(super().forward(x), 0.5, self.training)

class SeedingEvaluation(Net):
    def forward(self, x):
        if not self.training:
            torch.manual_seed(3)
        return functional.dropout(super().forward(x), 0.5)

class NothingButNan(Net):
    def forward(self, x):
        return super().forward(x).sub(1e9).log()

class TrainingOnly(Net):
    def forward(self, x):
        assert self.training
        return super().forward(x)

# Sound.

def zeros():
    net = nn.Linear(4, 3)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    return net

class CopiedBody(Net):
    def __init__(self):
        super().__init__()
        self.body = copy.deepcopy(BODY)

def fixed_on_purpose():
    net = own_seed()
    net.fixed_start = True
    return net

def usual():
    layers = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3)
    return nn.Sequential(*layers)

def spectral():
    return nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 8)), nn.Linear(8, 3))

class Tied(Net):
    def __init__(self):
        super().__init__()
        self.twin = nn.Linear(4, 8)
        self.twin.weight = self.body.weight

class Lazy(Net):
    def __init__(self):
        super().__init__()
        self.body = nn.LazyLinear(8)

class Counting(Net):
    calls = 0
    def forward(self, x):
        self.calls += 1
        return super().forward(x)

class CountingBuffer(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.tensor(0))
    def forward(self, x):
        self.calls += 1
        return super().forward(x)

class FixedFeatures(Net):
    def forward(self, x):
        return super().forward(x + MEAN)

# Forwards that write into their input.

class Writing(Net):
    def forward(self, x):
        return super().forward(x.mul_(0.5))

class WritingAtTimes(Net):
    def forward(self, x):
        return super().forward(x.mul_(0.5) if len(x) > 8 else x * 0.5)

class Reading(Net):
    def forward(self, x):
        return super().forward(x * 0.5)
"""


def attempt(own, name: str) -> None:
    spec = make_task(dataset="iris", model=f"{own(MODELS)}:{name}")
    check_task(spec, load_data(spec, 0))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("same_model", "the same model at every call.*copy.deepcopy"),
        ("SharedBody", "share the tensor 'body.weight'"),
        ("shared_parameter", "share the tensor 'body.weight'"),
        ("shared_memory", "share the tensor 'body.weight'"),
        ("shared_buffer", "share the tensor 'mean'"),
        ("Remembering", "changes when another model that it gave is trained"),
        ("Handing", "starts differently after another model was trained"),
        ("counting_calls", "other weights for the same seed"),
        ("unseeded_weights", "other weights for the same seed"),
        ("UnseededConstant", "other outputs for the same seed, with the same weights"),
        ("own_seed", "the same weights for every seed"),
        ("own_generator", "for every seed.*fixed_start = True"),
        ("own_seed_put_back", "for every seed"),
        ("EndlessDropout", "other outputs for the same inputs in evaluation mode.*self.training"),
        ("CountingForward", "other outputs for the same inputs in evaluation mode"),
        ("MovingMean", "changes 'mean' in evaluation mode"),
        ("OtherNoise", "other outputs from the same random state while it trains"),
        ("Annealed", "restored from its saved state.*register_buffer"),
        ("OwnNoise", "restored from its saved state.*torch's random state"),
        ("UnsavedMean", "restored from its saved state"),
        ("SeedingForward", "sets torch's random state.*manual_seed"),
        ("SeedingEvaluation", "sets torch's random state"),
        ("NothingButNan", "nothing but NaN or infinity"),
        ("TrainingOnly", "fails when it is built again, evaluated or trained.*AssertionError"),
    ],
)
def test_a_model_that_trials_would_share_is_refused(name, message, own) -> None:
    with pytest.raises(ContractError, match=message):
        attempt(own, name)


SOUND = ["Net", "zeros", "CopiedBody", "fixed_on_purpose", "usual", "spectral", "Tied", "CountingBuffer"]


@pytest.mark.parametrize("name", [*SOUND, "FixedFeatures", "Writing", "Counting", "Lazy"])
def test_a_sound_model_passes(name, own) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    attempt(own, name)
    assert torch.equal(before, torch.get_rng_state())


STUDY = """
name = "own"
[task]
dataset = "iris"
model = "{module}:{name}"
batch_size = 32
epochs = 3
[budget]
trials = 1
confirm_seeds = 1
[resources]
lanes = 0
[target]
values = [0.8]
[schedules.fixed]
lr = 0.1
"""


@pytest.mark.parametrize("name", ["Writing", "WritingAtTimes"])
def test_a_forward_that_writes_into_its_input_changes_no_later_one(name, own) -> None:
    module = own(MODELS)

    def measured(name: str) -> list[tuple[float, ...]]:
        study = parse_study(tomllib.loads(STUDY.format(module=module, name=name)), "study.toml")
        data = load_data(study.task, 0)
        config = TrialConfig("one", Phase.CONFIRM, "fixed", "fixed", {"lr": 0.1}, 3)
        rows = [row for _ in range(2) for row in Training(study, data, config, CPU).run()]
        return [(row.train_loss, row.val_loss, row.val_accuracy) for row in rows]

    rows = measured(name)
    assert rows == measured("Reading")
    assert rows[:3] == rows[3:]


def test_the_kept_batches_are_not_handed_to_users_models(own) -> None:
    spec = make_task(dataset="iris", model=f"{own(MODELS)}:Writing")
    pipeline = Pipeline(load_data(spec, 0), spec, CPU)
    for split in ("train", "validation", "test"):
        before = [x.clone() for x, _ in pipeline.batches(split)]
        for x, _ in pipeline.batches(split):
            x.zero_()
        assert all(torch.equal(x, y) for x, (y, _) in zip(before, pipeline.batches(split), strict=True))


SCHEDULE = """
import torch

def writing(optimizer, context):
    for inputs, targets in context.batches():
        inputs.zero_()
        targets.zero_()
    return torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)

def reading(optimizer):
    return torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)


writing.interval = reading.interval = "epoch"
"""


def test_a_users_schedule_that_writes_into_batches_changes_no_training(own) -> None:
    study = parse_study(tomllib.loads(STUDY.format(module=own(MODELS), name="Net")), "study.toml")
    module = own(SCHEDULE, "own_schedule")

    def losses(name: str) -> list[float]:
        data = load_data(study.task, 0)
        config = TrialConfig("one", Phase.TUNE, "own", f"{module}:{name}", {"lr": 0.1}, 3)
        return [row.train_loss for row in Training(study, data, config, CPU).run()]

    assert losses("writing") == losses("reading")


def test_a_model_that_writes_into_its_input_runs_in_no_lanes(own) -> None:
    spec = make_task(dataset="iris", model=f"{own(MODELS)}:Writing")
    assert disagreement(spec, load_data(spec, 0)) is not None


# Fingerprints.


def test_rows_their_order_and_their_type_make_the_fingerprint() -> None:
    task = make_task(dataset="iris")
    data = load_data(task, 0)
    assert data_fingerprint(data) == data_fingerprint(load_data(task, 0))
    others = [load_data(task, 1), load_data(make_task(dataset="iris", rows=100), 0)]
    assert len({data_fingerprint(one) for one in [data, *others]}) == 3


def test_a_models_fingerprint_sees_what_is_no_weight(own) -> None:
    code = MODELS.replace("x + MEAN", "x * torch.ones(4)")
    task = make_task(dataset="iris", model=f"{own(code)}:FixedFeatures")
    data = load_data(task, 0)
    one, again = (model_fingerprint(task, data) for _ in range(2))
    assert one == again
    own(code.replace("torch.ones(4)", "torch.full((4,), 1.1)"))
    other = model_fingerprint(task, data)
    assert models_agree(one, again)
    assert one["weights"] == other["weights"]
    assert not models_agree(one, other)
    assert model_fingerprint(make_task(dataset="iris"), data) is None


def test_rounding_makes_no_other_model_but_a_lost_number_does() -> None:
    one = {"weights": [0.5, -1e-9], "outputs": [2.0, None]}
    assert models_agree(one, {"weights": [0.5000001, 1e-9], "outputs": [1.99999, None]})
    assert not models_agree(one, {"weights": [0.5, -1e-9], "outputs": [2.0, 1.0]})
    assert not models_agree(one, {"weights": [0.5], "outputs": [2.0, None]})
    assert not models_agree(one, {"weights": [0.52, -1e-9], "outputs": [2.0, None]})


def test_built_in_data_are_normalised_in_the_tasks_precision() -> None:
    """Bit for bit what stores were trained on: float32 arithmetic on float32 values."""
    task = make_task(dataset="iris")
    data = load_data(task, 0)
    (x,) = [x for x, _ in Pipeline(data, task, CPU).batches("train")]
    inputs = data.train.inputs
    assert inputs.dtype == np.float32
    mean, deviation = inputs.mean(0, dtype=np.float64), inputs.std(0, dtype=np.float64)
    wanted = (inputs - mean.astype(np.float32)) * (1 / deviation).astype(np.float32)
    assert np.array_equal(x.numpy(), wanted)
