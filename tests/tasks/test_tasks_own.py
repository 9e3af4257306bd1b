"""Users' own data sets and models: what does, and what a broken contract says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from task_specs import make_task

from lrstudy.errors import ContractError, InputError
from lrstudy.spec import load_study
from lrstudy.tasks import check_task, load_data
from lrstudy.tasks.task_check import check_task as check

EXAMPLES = Path(__file__).parents[2] / "studies" / "examples"

DATA = """
import numpy as np
import torch
from torch.utils.data import TensorDataset

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((40, 3)), np.arange(40) % 2

def pair(): return X, Y
def tensors(): return torch.tensor(X), torch.tensor(Y)
def dataset(): return TensorDataset(torch.tensor(X), torch.tensor(Y))
def listed(): return [(x, int(y)) for x, y in zip(X, Y)]
def splits(): return {"train": (X, Y), "validation": (X[:6], Y[:6]), "test": dataset()}
def numbers(): return X, X[:, :2]
def images(): return (255 * np.random.default_rng(1).random((40, 1, 5, 5))).astype(np.uint8), Y
def seeded(seed, rows=40): return np.full((rows, 2), float(seed)), np.arange(rows) % 2
def raises(): raise KeyError("no such column")
def one_argument(path): return X, Y
not_callable = 3
"""


@pytest.mark.parametrize("form", ["pair", "tensors", "dataset", "listed"])
def test_arrays_tensors_and_data_sets_all_do(form, own) -> None:
    data = load_data(make_task(dataset=f"{own(DATA)}:{form}"), 0)
    assert data.train.inputs.dtype == np.float64
    assert data.train.targets.dtype == np.int64
    assert data.classes == 2
    assert not data.image
    assert sum(len(split.targets) for split in data.splits.values()) == 40


def test_own_splits_are_kept(own) -> None:
    data = load_data(make_task(dataset=f"{own(DATA)}:splits"), 0)
    assert [len(split.targets) for split in data.splits.values()] == [40, 6, 40]


def test_numbers_are_a_regression_and_four_sides_are_images(own) -> None:
    module = own(DATA)
    numbers = load_data(make_task(dataset=f"{module}:numbers", loss="mse"), 0)
    assert numbers.classes is None
    assert numbers.train.targets.shape[1:] == (2,)
    images = load_data(make_task(dataset=f"{module}:images"), 0)
    assert images.image
    assert images.train.inputs.dtype == np.uint8


def test_a_seed_and_options_are_passed_on(own) -> None:
    name = f"{own(DATA)}:seeded"
    one, again, other = (load_data(make_task(dataset={"name": name, "rows": 20}), seed) for seed in (1, 1, 2))
    assert one.train.inputs[0, 0] == again.train.inputs[0, 0] != other.train.inputs[0, 0]
    assert sum(len(split.targets) for split in one.splits.values()) == 20


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("raises", r"called with \(\) it raised KeyError: 'no such column' \(.*own_parts.py, line 17\)"),
        ("one_argument", "TypeError: one_argument\\(\\) missing 1 required positional argument: 'path'"),
        ("not_callable", "cannot be called"),
        ("par", "has no 'par'.*The module offers: .*pair"),
        ("pair.x", "has no 'pair.x'"),
    ],
)
def test_what_cannot_be_called_says_why(attribute, message, own) -> None:
    with pytest.raises(ContractError, match=message):
        load_data(make_task(dataset=f"{own(DATA)}:{attribute}"), 0)


def test_a_missing_module_and_one_that_fails_are_told_apart(own) -> None:
    with pytest.raises(ContractError, match=r"No module named 'nowhere'.*nowhere.py beside the study file"):
        load_data(make_task(dataset="nowhere:make"), 0)
    broken = own("import numpy\nimport lacking_package\n", "broken")
    with pytest.raises(ContractError, match=r"No module named 'lacking_package' \(.*broken.py, line 2\)"):
        load_data(make_task(dataset=f"{broken}:make"), 0)
    wrong = own("x = (\n", "wrong")
    with pytest.raises(ContractError, match="cannot be imported: SyntaxError"):
        load_data(make_task(dataset=f"{wrong}:make"), 0)


X, Y = "np.ones((6, 2))", "np.arange(6) % 2"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", "train is a NoneType"),
        (f"({X}, {Y}, 3)", "not a sequence of"),
        (f"({X}.astype(int), {Y})", "train inputs have the type int64.*Give uint8 or floating"),
        (f"({X}.astype(object), {Y})", "inputs have the type object"),
        (f"({X}, np.array(list('ababab')))", "targets have the type <U1"),
        (f"({X}, {Y} + 0j)", "targets have the type complex128"),
        (f"({X}[:, 0], {Y})", r"inputs have the shape \(6,\)"),
        (f"({X}, ({Y})[:5])", r"inputs of shape \(6, 2\) and targets of shape \(5,\)"),
        ("(np.ones((0, 2)), np.ones(0))", "train is empty"),
        (f"({X}, np.eye(2, dtype=int)[{Y}])", "not one-hot"),
        (f"({X}, ({Y}) - 1)", "has the class -1.*Number the classes from 0"),
        (f"({X}, ({Y}) * 0)", "a single class"),
        (f"({X} * np.nan, {Y})", "inputs hold NaN"),
        (f"({X}, np.full(6, np.inf))", "targets hold NaN or infinity"),
        ("(np.ones((6, 8, 8, 3)), np.arange(6) % 2)", "channels last"),
        ("([[1.0], [1.0, 2.0]], [0, 1])", "does not become an array"),
        (f"{{'training': ({X}, {Y})}}", 'Use "train", "validation" and "test"'),
        (f"{{'train': ({X}, {Y}), 'test': (np.ones((6, 3)), {Y})}}", r"test inputs are .*rows, 3.*rows, 2"),
        (f"{{'train': ({X}, {Y}), 'test': ({X}, np.arange(6.0))}}", "test targets are floating point"),
        (f"{{'train': ({X}, {Y}), 'test': ({X}, np.arange(6))}}", "class 5, which train lacks"),
    ],
)
def test_a_broken_data_set_is_named(returned, message, own) -> None:
    module = own(f"import numpy as np\ndef make(): return {returned}\n")
    with pytest.raises(ContractError, match=message):
        load_data(make_task(dataset=f"{module}:make"), 0)


def test_everything_wrong_is_said_at_once(own) -> None:
    module = own(f"import numpy as np\ndef make(): return {X}.astype(int)[:, 0], np.array(list('abc'))\n")
    with pytest.raises(ContractError) as caught:
        load_data(make_task(dataset=f"{module}:make"), 0)
    assert len(caught.value.problems) == 4


MODELS = """
import threading
import torch
from torch import nn

class Base(nn.Module):
    def __init__(self, input_shape, outputs, scale=1.0):
        super().__init__()
        self.layer = nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], outputs)
        self.scale = scale
    def forward(self, x):
        return self.scale * self.layer(x.flatten(1))

class Wrong(Base):
    def forward(self, x):
        return super().forward(x)[:, 0]

class Pair(Base):
    def forward(self, x):
        return super().forward(x), 1

class Whole(Base):
    def forward(self, x):
        return super().forward(x).argmax(1, keepdim=True).expand(-1, 10)

class Failing(Base):
    def forward(self, x):
        raise ValueError("cannot see")

class Unpicklable(Base):
    def get_extra_state(self):
        return threading.Lock()
    def set_extra_state(self, state):
        pass

calls = 0
def moody(input_shape, outputs):
    global calls
    calls += 1
    model = Base(input_shape, outputs)
    nn.init.constant_(model.layer.weight, calls)
    return model

def lazy(outputs):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(outputs))

def by_classes(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))

def frozen(outputs):
    return by_classes(outputs).requires_grad_(False)

def no_model():
    return 3
"""


def attempt(own, name: str, **options) -> None:
    spec = make_task(model={"name": f"{own(MODELS)}:{name}"} | options)
    check(spec, load_data(spec, 0))


@pytest.mark.parametrize("name", ["Base", "lazy", "by_classes"])
def test_a_sound_model_passes(name, own) -> None:
    attempt(own, name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Wrong", r"maps \(4, 1, 8, 8\) to \(4,\), not to \(4, 10\)"),
        ("Pair", "to tuple, not to"),
        ("Whole", "outputs of type torch.int64 that cannot be trained on"),
        ("Failing", r"fails on a batch of shape \(4, 1, 8, 8\): ValueError: cannot see"),
        ("Unpicklable", "cannot be pickled: TypeError: cannot pickle '_thread.lock'"),
        ("moody", "other weights for the same seed"),
        ("frozen", "nothing to train"),
        ("no_model", "returned int.*Return a torch.nn.Module"),
    ],
)
def test_a_model_that_breaks_the_contract_is_refused(name, message, own) -> None:
    with pytest.raises(ContractError, match=message):
        attempt(own, name)


def test_options_reach_the_model_and_wrong_ones_are_named(own) -> None:
    attempt(own, "Base", scale=0.5)
    with pytest.raises(ContractError, match="unexpected keyword argument 'scael'"):
        attempt(own, "Base", scael=0.5)


def test_torchs_own_classes_do(own) -> None:
    spec = make_task(dataset="iris", model={"name": "torch.nn:Linear", "in_features": 4, "out_features": 3})
    check_task(spec, load_data(spec, 0))


def test_the_example_study_is_sound(monkeypatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    study = load_study(EXAMPLES / "own-task.toml")
    data = load_data(study.task, study.seed)
    check_task(study.task, data)
    assert data.train.inputs.shape[1:] == (2,)
    sys.modules.pop("spirals")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"loss": "mae"}, "loss = 'mae': does not fit 'digits', whose targets are classes"),
        ({"dataset": "diabetes"}, "does not fit 'diabetes', whose targets are numbers"),
        ({"augment": ["flop"]}, "is not an augmentation"),
        ({"dataset": "iris", "augment": ["flip"]}, "holds no images"),
        ({"normalize": "whiten"}, "is not a normalisation"),
        ({"dataset": "iris", "model": "paper-cnn"}, "needs images"),
        ({"model": "torchvision:alexnet"}, "fails on a batch of shape"),
        ({"optimizer": {"name": "sgd", "nesterov": True}}, "needs plain momentum"),
    ],
)
def test_parts_that_do_not_fit_are_refused(keys, message) -> None:
    spec = make_task(**keys)
    with pytest.raises(InputError, match=message):
        check_task(spec, load_data(spec, 0))


def test_a_check_leaves_the_random_state_alone() -> None:
    spec = make_task(model={"name": "mlp", "dropout": 0.5})
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_task(spec, load_data(spec, 0))
    assert torch.equal(before, torch.get_rng_state())
