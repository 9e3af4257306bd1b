"""Users' data: rows that must not change from read to read, nothing rounded or misread on the way in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from task_specs import make_task

from lrstudy.errors import ContractError, InputError
from lrstudy.tasks import Pipeline, TaskData, check_task, load_data

CPU = torch.device("cpu")


@pytest.fixture
def make(own):
    """Load what an expression (of numpy, torch and a generator ``rng``) gives as a user's data set."""

    def load(returned: str, before: str = "", **keys) -> tuple[TaskData, object]:
        code = (
            "import numpy as np\nimport pandas as pd\nimport pyarrow as pa\nimport torch\n"
            "X, Y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3\n"
            f"{before}\ndef make():\n    return {returned}\n"
        )
        spec = make_task(dataset=f"{own(code)}:make", **keys)
        return load_data(spec, 0), spec

    return load


def check(made: tuple[TaskData, object], metric: str = "") -> None:
    data, spec = made
    check_task(spec, data, metric)


# A5: items that change from read to read.

SET = """
class Items(torch.utils.data.Dataset):
    def __init__(self, rows=60):
        self.rows, self.calls = rows, 0
        self.x = torch.from_numpy(X.copy())
    def __len__(self):
        return self.rows
    def __getitem__(self, i):
        {body}
"""

CHANGING = {
    "noise from torch": "return self.x[i] + torch.randn(4), i % 3",
    "noise from numpy": "return self.x[i] + torch.as_tensor(np.random.normal(size=4)), i % 3",
    "noise that shares a generator": "return self.x[i] + torch.randn(4, generator=GENERATOR), i % 3",
    "a rare flip": "return (self.x[i].flip(0) if torch.rand(()) < 0.1 else self.x[i]), i % 3",
    "random labels": "return self.x[i], int(torch.randint(3, ()))",
    "a count of reads": "self.calls += 1; return self.x[i] + self.calls, i % 3",
    "a row changed in place": "row = self.x[i]; row /= 2; return row, i % 3",
}


@pytest.mark.parametrize("body", CHANGING.values(), ids=CHANGING)
def test_items_that_change_from_read_to_read_are_refused(body, make) -> None:
    before = "GENERATOR = torch.Generator()\n" + SET.format(body=body)
    with pytest.raises(ContractError, match=r"train differs between two reads.*task.augment"):
        make("Items()", before)


def test_a_random_validation_split_is_refused_too(make) -> None:
    before = SET.format(body=CHANGING["noise from torch"])
    with pytest.raises(ContractError, match="validation differs between two reads"):
        make('{"train": (X, Y), "validation": Items()}', before)


def test_items_that_refill_one_buffer_keep_their_own_values(make) -> None:
    body = "BUFFER[:] = self.x[i]; return BUFFER, i % 3"
    data, _ = make("Items()", "BUFFER = torch.zeros(4, dtype=torch.float64)\n" + SET.format(body=body))
    rows = np.concatenate([split.inputs for split in data.splits.values()])
    assert len(np.unique(rows, axis=0)) == 60


def test_items_drawn_from_a_seed_of_their_own_are_fine(make) -> None:
    body = "return self.x[i] + torch.randn(4, generator=torch.Generator().manual_seed(i)), i % 3"
    data, _ = make("Items()", SET.format(body=body))
    assert data.classes == 3


STREAM = """
class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y))
    def __len__(self):
        return 60
"""


@pytest.mark.parametrize(
    ("returned", "before", "message"),
    [
        ("Stream()", STREAM, "train is a Stream: a stream.*map-style data set"),
        ("torch.utils.data.DataLoader(list(zip(X, Y)))", "", "is a DataLoader.*loader.dataset"),
        ("(row for row in zip(X, Y))", "", "is a generator.*Return"),
        (
            "Items(200)",
            SET.format(body="return self.x[i], i % 3"),
            r"reading item 60 raised IndexError.*line",
        ),
        ("pd.DataFrame(X)", "", "reading item|not a sequence of"),
        ('[{"image": X[0], "label": 0}] * 9', "", "item 0 is a dict"),
        ("torch.utils.data.TensorDataset(torch.zeros(0, 4), torch.zeros(0))", "", "train is empty"),
        ('{"train": Stream(), "test": (X, Y), "classes": 3}', STREAM, r'and "classes" only where.*loader = '),
    ],
)
def test_what_is_no_table_of_rows_is_named(returned, before, message, make) -> None:
    with pytest.raises(ContractError, match=message):
        make(returned, before)


# B1: data that another call gives differently.

UNSEEDED = {
    "a generator of the system's": ("(np.random.default_rng().normal(size=(60, 4)), Y)", ""),
    "a generator kept between calls": ("(RNG.normal(size=(60, 4)), Y)", "RNG = np.random.default_rng(0)"),
    "arrays changed in place": ("(np.multiply(X, 2, out=X), Y)", ""),
    "another order": ("(X[(o := np.random.default_rng().permutation(60))], Y[o])", ""),
    "another set of items": ("list(zip(X + next(COUNT), Y))", "import itertools\nCOUNT = itertools.count()"),
    "other splits": (
        '{"train": (X, Y)} | ({"test": (X, Y)} if next(COUNT) else {})',
        "import itertools\nCOUNT = itertools.count()",
    ),
}


@pytest.mark.parametrize(("returned", "before"), UNSEEDED.values(), ids=UNSEEDED)
def test_data_that_differ_when_called_again_are_refused(returned, before, make) -> None:
    with pytest.raises(ContractError, match=r"when it is called again.*seed"):
        make(returned, before)


# B2: values on the way in.

TYPES = {
    "float16": "(X.astype(np.float16), Y)",
    "big-endian": "(X.astype('>f8'), Y.astype('>i4'))",
    "longdouble": "(X.astype(np.longdouble), Y)",
    "not contiguous": "(np.asfortranarray(X)[::-1], Y[::-1])",
    "read-only": "(np.broadcast_to(X, X.shape), np.broadcast_to(Y, Y.shape))",
    "bfloat16": "(torch.from_numpy(X).bfloat16(), torch.from_numpy(Y))",
    "bool labels": "(X, Y > 0)",
    "unsigned labels": "(X, Y.astype(np.uint64))",
    "data frames": "(pd.DataFrame(X), pd.Series(Y))",
    "Arrow columns": "(pd.DataFrame(X), pa.array(Y))",
    "masked, nothing hidden": "(np.ma.array(X), Y)",
}


@pytest.mark.parametrize("returned", TYPES.values(), ids=TYPES)
def test_every_numeric_type_arrives_with_its_values(returned, make) -> None:
    data, spec = make(returned)
    check_task(spec, data)
    rng = np.random.default_rng(0).normal(size=(60, 4))
    rows = np.concatenate([split.inputs for split in data.splits.values()])
    widths = {"bfloat16": 1e-2, "float16": 1e-3}
    tolerance = next((width for name, width in widths.items() if name in returned), 1e-12)
    assert np.allclose(np.sort(rows, axis=0), np.sort(rng, axis=0), rtol=tolerance, atol=tolerance)
    assert data.train.inputs.dtype.isnative
    assert data.train.targets.dtype == np.int64


def test_a_shift_of_float64_inputs_does_not_show(make) -> None:
    before = "T = np.arange(100.0).reshape(-1, 1)\nC = (np.arange(100) >= 50).astype(int)"
    for precision, distinct in itertools.product(("float32", "float64"), (64,)):
        batches = []
        for offset in ("0", "1.7e9"):
            data, spec = make(f"(T + {offset}, C)", before, precision=precision)
            check_task(spec, data)
            batches.append(torch.cat([x for x, _ in Pipeline(data, spec, CPU).batches("train")]))
        assert all(len(x.unique()) == distinct for x in batches)
        assert torch.allclose(*batches, rtol=1e-6, atol=1e-6)


def test_float64_is_normalised_in_float64_and_then_rounded(make) -> None:
    data, spec = make("(X + 1e6, Y)")
    (x,) = [x for x, _ in Pipeline(data, spec, CPU).batches("train")]
    inputs = data.train.inputs
    wanted = ((inputs - inputs.mean(0)) / inputs.std(0)).astype(np.float32)
    assert x.dtype == torch.float32
    assert np.allclose(x.numpy(), wanted, rtol=0, atol=1e-6)
    exact, spec = make("(X + 1e6, Y)", precision="float64")
    (x,) = [x for x, _ in Pipeline(exact, spec, CPU).batches("train")]
    assert np.allclose(x.numpy(), (inputs - inputs.mean(0)) / inputs.std(0), rtol=1e-12, atol=1e-12)


def test_a_constant_float64_feature_stays_nothing(make) -> None:
    """Its mean is rounded: what is left of it must not be blown up to deviation 1."""
    data, spec = make("(np.column_stack([X, np.full(60, 0.1), np.full(60, 1 / 3)]), Y)")
    x, _ = next(Pipeline(data, spec, CPU).batches("train"))
    assert x[:, 4:].abs().max() < 1e-12


@pytest.mark.parametrize(
    ("returned", "keys", "message"),
    [
        ("(X + 1.7e9, Y)", {"normalize": "none"}, "inputs are .* times their deviation.*standardize"),
        ("(X + 1.7e9, Y)", {"normalize": "scale"}, "float32 would round them away"),
        ("(X, X[:, 0] + 1.7e9)", {"loss": "mse"}, "targets are .* times their deviation.*precision"),
        ("(X * 1e300, Y)", {"normalize": "none"}, "train inputs become NaN or infinity in float32"),
        ("(X * 1e200, Y)", {}, "too large for 'standardize': their squares overflow"),
        ("(X, X[:, 0] * 1e300)", {"loss": "mse"}, "targets become NaN or infinity in float32"),
        ("(X.astype(np.longdouble) * np.longdouble('1e4000'), Y)", {}, "hold NaN or infinity"),
        (
            '{"train": (X, Y), "test": (X * 1e300, Y)}',
            {"normalize": "none"},
            "test inputs become NaN or infinity",
        ),
        ("(np.zeros((60, 4)) + 7, Y)", {}, "every row is the same"),
    ],
)
def test_what_the_precision_cannot_hold_is_refused(returned, keys, message, make) -> None:
    with pytest.raises(ContractError, match=message):
        check(make(returned, **keys))


def test_ordinary_offsets_are_no_matter(make) -> None:
    check(make("(X + 1000, Y)", normalize="none"))
    check(make("(X, X[:, 0] * 1e-3 + 10)", loss="mse"))
    check(make("(X + 1.7e9, Y)", normalize="none", precision="float64"))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("(np.ma.array(X, mask=X > 1), Y)", "inputs: does not become an array.*are masked"),
        ("(list(np.ma.array(X, mask=X > 1)), Y)", "are masked"),
        ("(X, np.ma.array(Y, mask=Y > 1))", "targets: does not become an array: 20 of its values are masked"),
        ("(X, np.where(Y == 1, None, Y))", "targets have the type object.*holds a NoneType"),
        ("(pd.DataFrame({'a': [1.0, None] * 30, 'b': list('ab') * 30}), Y)", "object .*holds a str"),
        (
            "(pd.DataFrame({'a': Y, 'b': X[:, 0]}).convert_dtypes(), Y)",
            r"object \(it holds an int\)\. Give all columns one type: inputs\.astype\('float32'\)",
        ),
        ("(X, pd.DataFrame({'a': Y, 'b': X[:, 0]}).convert_dtypes())", "targets.*Give all columns one type"),
        (
            "(pd.DataFrame({'a': [1, None] * 30, 'b': X[:, 0]}).convert_dtypes(), Y)",
            "an? NAType.*with no value missing",
        ),
        ("(pd.DataFrame(X), pd.Series(Y, index=range(60, 0, -1)))", "different pandas indexes"),
        ("(X, np.array(list('abc') * 20))", "targets have the type <U1.*numpy.unique"),
        ("(np.zeros(60, [('a', 'f4'), ('b', 'f4')]), Y)", "structured_to_unstructured"),
        ("(X + 0j, Y)", "inputs have the type complex128"),
        ("(X.astype('datetime64[s]'), Y)", "inputs have the type datetime64"),
        ("(torch.eye(60).to_sparse(), Y)", "inputs: does not become an array"),
        ("(X > 0, Y)", r"inputs have the type bool.*astype\('float32'\)"),
        ("(X[:0], Y[:0])", "train is empty"),
        ("(X, Y[:-1])", "one target per row"),
        ("(np.where(X > 2, np.nan, X), Y)", "inputs hold NaN"),
        ("(X, np.where(Y > 1, np.inf, Y))", "targets hold NaN"),
        ('{"train": (X, Y), "validation": (X[:, :3], Y)}', "validation inputs are"),
        ('{"train": (X, Y), "validation": (X.astype(np.uint8), Y)}', "validation inputs are uint8"),
        ('{"train": (X, Y), "validation": (X[:0], Y[:0])}', "validation is empty"),
    ],
)
def test_values_that_would_be_dropped_or_misread_are_refused(returned, message, make) -> None:
    with pytest.raises(ContractError, match=message):
        make(returned)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("Y + 1", "no row of the class 0: its 3 classes run from 1 to 3.*numpy.unique"),
        ("np.array([0, 1, 50_000_000])[Y]", "no row of the class 2: .*to 50000000"),
        ("np.array([0, 1, 2**63], dtype=np.uint64)[Y]", "no row of the class 2"),
        ("Y - 1", "has the class -1.*Number the classes from 0"),
        ("Y * 0 + 4", "a single class, 4"),
        ("Y[:, None]", r"class numbers of shape \(60, 1\).*targets.ravel\(\)"),
        ("np.eye(3, dtype=int)[Y]", r"not one-hot: targets.argmax\(1\)"),
        ("(X[:, :3] > 0)", "multi-label"),
    ],
)
def test_labels_that_are_no_classes_from_0_are_refused(labels, message, make) -> None:
    with pytest.raises(ContractError, match=message):
        make(f"(X, {labels})")


def test_classes_that_training_lacks_are_named(make) -> None:
    with pytest.raises(ContractError, match="validation has the class 2, which train lacks"):
        make('{"train": (X, Y % 2), "validation": (X, Y)}')


def test_a_class_of_one_row_is_told_apart_from_a_bad_size(make) -> None:
    with pytest.raises(InputError, match="two rows of each class at least; for a regression"):
        make("(X, np.arange(60))")


@pytest.mark.parametrize("shape", ["8, 8, 4", "8, 8, 2", "9, 9, 5", "32, 48, 3", "4, 4, 3", "28, 28, 1"])
def test_channels_last_is_refused_whatever_their_number(shape, make) -> None:
    with pytest.raises(ContractError, match=r"channels last.*numpy.moveaxis\(inputs, 3, 1\)"):
        make(f"(np.zeros((60, {shape}), np.uint8), Y)")


@pytest.mark.parametrize(
    "shape", ["3, 8, 8", "4, 8, 8", "8, 8, 8", "1, 28, 28", "512, 7, 7", "3, 32, 48", "2, 5, 3"]
)
def test_channels_first_is_taken_as_it_is(shape, make) -> None:
    data, _ = make(f"(np.zeros((60, {shape}), np.uint8), Y)")
    assert data.image


@pytest.mark.parametrize(
    ("targets", "keys", "message"),
    [
        ("Y.astype(float)", {}, r"whole ones stored as floating point.*targets.astype\(int\)"),
        ("np.eye(3)[Y]", {}, r"one-hot rows.*targets.argmax\(1\)"),
        ("(X[:, :3] > 0).astype(float)", {"loss": "binary-cross-entropy"}, "multi-label"),
        ("X[:, 0]", {}, "whose targets are numbers. Use a regression loss"),
        ("Y", {"loss": "mse"}, r"Integers are taken for class numbers: .*targets.astype\('float32'\)"),
    ],
)
def test_a_loss_for_other_targets_says_what_they_were_taken_for(targets, keys, message, make) -> None:
    with pytest.raises(InputError, match=message):
        check(make(f"(X, {targets})", **keys))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("(X, np.full(60, 7.0))", "train targets: does not vary, every value is 7"),
        ("(X, np.column_stack([X[:, 0], np.ones(60)]))", "targets' column 1: does not vary"),
        ('{"train": (X, X[:, 0]), "validation": (X[:1], X[:1, 0])}', r"validation split \(1 row\)"),
        ('{"train": (X, X[:, 0]), "test": (X[:5], np.ones(5))}', r"the test split \(5 rows\)"),
    ],
)
def test_r2_that_is_not_defined_is_refused(returned, message, make) -> None:
    with pytest.raises(InputError, match=message):
        check(make(returned, loss="mse"), "val_r2")


def test_a_constant_validation_split_is_fine_where_r2_does_not_judge(make) -> None:
    check(make('{"train": (X, X[:, 0]), "validation": (X[:1], X[:1, 0])}', loss="mse"), "val_loss")


def test_data_say_what_they_were_taken_for_and_which_rows_are_shared(make) -> None:
    data, _ = make(
        '{"train": (X[:40], Y[:40]), "validation": (X[35:50], Y[35:50]), "test": (X[50:], Y[50:])}'
    )
    assert (
        data.description == "40 train, 15 validation, 10 test rows; 4 features, float64; targets: 3 classes"
    )
    assert data.repeated_rows == "inputs that the training split holds too: 5 of 15 validation rows"
    numbers, _ = make("(X, X[:, :2])")
    assert numbers.description.endswith("targets: 2 numbers per row (regression)")
    assert numbers.repeated_rows == ""
