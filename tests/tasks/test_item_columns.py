"""Items that are mappings: columns by name, Hugging Face data sets among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from task_specs import make_task

from lrstudy.errors import ContractError, InputError
from lrstudy.tasks import TaskData, assemble, check_task, load_data
from lrstudy.tasks.item_columns import pair_of

CPU = torch.device("cpu")
OWN = """
import datasets
import numpy as np
from PIL import Image

ROWS = [{"x": [float(n), 1.0, 2.0], "y": n % 3, "name": str(n)} for n in range(60)]


def plain():
    return ROWS


def hugging_face():
    features = datasets.Features(
        x=datasets.Sequence(datasets.Value("float32")),
        y=datasets.ClassLabel(names=["a", "b", "c"]),
        name=datasets.Value("string"),
    )
    return datasets.DatasetDict(
        train=datasets.Dataset.from_list(ROWS, features=features),
        validation=datasets.Dataset.from_list(ROWS[:12], features=features),
    )


def pictures():
    rows = [{"image": Image.fromarray(np.full((6, 5, 3), n, np.uint8)), "label": n % 2} for n in range(40)]
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(num_classes=2))
    return datasets.Dataset.from_list(rows, features=features)


def streamed():
    found = hugging_face()["train"]
    stream = found.to_iterable_dataset(num_shards=4).shuffle(seed=1, buffer_size=10)
    return {"train": stream, "validation": found, "test": found, "classes": 3}
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "column_parts.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


def load(function: str, *columns: str, **keys: Any) -> tuple[Any, TaskData]:
    named = {"columns": list(columns)} if columns else {}
    spec = make_task(dataset=f"column_parts:{function}", **named, **keys)
    data = load_data(spec, 0)
    check_task(spec, data)
    return spec, data


def test_columns_of_mappings_become_rows() -> None:
    _, data = load("plain", "x", "y")
    inputs = np.concatenate([split.inputs for split in data.splits.values()])
    assert sorted(inputs[:, 0]) == list(range(60))
    for split in data.splits.values():
        assert (split.targets == split.inputs[:, 0].astype(int) % 3).all()


@pytest.mark.parametrize("loader", [None, {"workers": 0}, {"workers": 1}])
def test_a_hugging_face_data_set_is_read_in_memory_and_batch_by_batch(loader: Any) -> None:
    spec, data = load("hugging_face", "x", "y", **({} if loader is None else {"loader": loader}))
    assert data.classes == 3
    assert data.rows("validation") == 12
    parts = assemble(spec, data, CPU)
    inputs, targets = map(torch.cat, zip(*parts.pipeline.batches("validation"), strict=True))
    assert targets.tolist() == [n % 3 for n in range(12)]
    if loader is not None:
        assert inputs[:, 0].tolist() == list(range(12))


@pytest.mark.parametrize("loader", [None, {"workers": 0}])
def test_pictures_become_channels_first(loader: Any) -> None:
    _, data = load("pictures", "image", "label", **({} if loader is None else {"loader": loader}))
    assert data.image
    assert data.classes == 2
    assert data.train.inputs.shape[1:] == (3, 6, 5)
    assert data.train.inputs.dtype == np.uint8
    assert (data.train.targets == data.train.inputs[:, 0, 0, 0] % 2).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_hugging_face_stream_is_shuffled_by_each_passs_seed(workers: int) -> None:
    spec, data = load("streamed", "x", "y", rows=60, loader={"workers": workers})
    orders = []
    for _ in range(2):
        parts = assemble(spec, data, CPU)
        for _ in range(2):
            batches = list(parts.pipeline.train_batches(parts.order))
            orders.append(torch.cat([inputs for inputs, _ in batches])[:, 0].tolist())
    assert all(sorted(order) == list(range(60)) for order in orders)
    assert orders[:2] == orders[2:]
    assert orders[0] != orders[1]


@pytest.mark.parametrize("loader", [None, {"workers": 0}])
@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ((), r'dict with the columns x, y, name.*\[task\] columns = \["x", "name"\]'),
        (("x", "z"), "columns x, y, name, not z"),
    ],
)
def test_unclear_columns_are_refused(columns: tuple[str, ...], says: str, loader: Any) -> None:
    with pytest.raises(InputError, match=says):
        load("plain", *columns, **({} if loader is None else {"loader": loader, "validation": 0.2}))


def test_columns_for_pairs_are_refused(own: Any) -> None:
    name = own("def make():\n    return [([1.0, 2.0], n % 2) for n in range(20)]\n")
    with pytest.raises(ContractError, match="item 0 is a pair, whose parts have no names"):
        load_data(make_task(dataset=f"{name}:make", columns=["x", "y"]), 0)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("RGB", (3, 4, 2)), ("L", (1, 4, 2)), ("P", (3, 4, 2)), ("RGBA", (3, 4, 2)), ("1", (1, 4, 2))],
)
def test_pictures_of_any_mode(mode: str, shape: tuple[int, ...]) -> None:
    item = {"image": Image.new(mode, (2, 4)), "label": 1}
    picture, label = pair_of(item, ("image", "label"))
    assert (tuple(picture.shape), picture.dtype, label) == (shape, torch.uint8, 1)
