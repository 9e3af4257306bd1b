"""Image data sets from Parquet, folders by class and npz: the same rows from each; damage is named."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lrstudy.errors import DataError
from lrstudy.tasks import Split, load_data
from lrstudy.tasks.archives import ARCHIVES, load_archive
from lrstudy.tasks.fetch import fetch_data, list_data, verify_data
from lrstudy.tasks.image_files import read_images
from lrstudy.tasks.image_rows import row_digests, rows_digest

ROWS = {"train": 40, "test": 20}
Writer = Callable[[Path, dict[str, Split]], None]


@pytest.fixture
def splits(monkeypatch: pytest.MonkeyPatch) -> dict[str, Split]:
    """Ten classes of small colour images, whose digests are those of CIFAR-10 as long as the test runs."""
    rng = np.random.default_rng(5)
    made = {
        name: Split(rng.integers(0, 256, (rows, 3, 32, 32), dtype=np.uint8), rng.permutation(rows) % 10)
        for name, rows in ROWS.items()
    }
    digests = {name: rows_digest(row_digests(split.inputs, split.targets)) for name, split in made.items()}
    known = replace(ARCHIVES["cifar10"].known, rows=ROWS, digests=digests)
    monkeypatch.setitem(ARCHIVES, "cifar10", replace(ARCHIVES["cifar10"], known=known))
    return made


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(folder: Path, splits: dict[str, Split], image: str = "img") -> None:
    """As Hugging Face distributes it: two files of training rows, in another order."""
    folder.mkdir()
    for name, split in splits.items():
        order = np.random.default_rng(6).permutation(len(split.targets))
        parts = np.array_split(order, 2 if name == "train" else 1)
        for number, rows in enumerate(parts):
            images = [{"bytes": png(split.inputs[row]), "path": None} for row in rows]
            table = pa.table({image: images, "label": split.targets[rows]})
            pq.write_table(table, folder / f"{name}-{number:05}-of-{len(parts):05}.parquet")


def write_converted_parquet(folder: Path, splits: dict[str, Split]) -> None:
    """As the Hub converts a set: a folder for its configuration, and one for each split."""
    write_parquet(folder, splits)
    for name in splits:
        (folder / "plain_text" / name).mkdir(parents=True)
        for number, file in enumerate(sorted(folder.glob(f"{name}-*.parquet"))):
            file.rename(folder / "plain_text" / name / f"{number:04}.parquet")


def write_folders(folder: Path, splits: dict[str, Split]) -> None:
    (folder / "train" / ".ipynb_checkpoints").mkdir(parents=True)
    names = ARCHIVES["cifar10"].known.names
    for name, split in splits.items():
        for row, (image, label) in enumerate(zip(split.inputs, split.targets.tolist(), strict=True)):
            place = folder / name / names[label].upper()
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{row}.png").write_bytes(png(image))


def write_npz(folder: Path, splits: dict[str, Split]) -> None:
    """As Keras keeps such sets: channels last, labels in a column."""
    folder.mkdir()
    arrays = {}
    for name, split in splits.items():
        arrays[f"x_{name}"] = split.inputs.transpose(0, 2, 3, 1)[::-1]
        arrays[f"y_{name}"] = split.targets.astype(np.uint8)[::-1, None]
    np.savez(folder / "cifar10.npz", **arrays)


FORMS: dict[str, Writer] = {
    "parquet": write_parquet,
    "converted parquet": write_converted_parquet,
    "folders": write_folders,
    "npz": write_npz,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(form, splits, tmp_path, task) -> None:
    FORMS[form](tmp_path / "from", splits)
    root = tmp_path / "root"
    fetched = fetch_data("cifar10", root, tmp_path / "from")
    assert (fetched.folder, fetched.already) == (root / "cifar10-rows", False)
    assert fetch_data("cifar10", root, tmp_path / "not looked at").already
    assert verify_data("cifar10", root).folder == root / "cifar10-rows"
    assert [found.state for found in list_data(root) if found.name == "cifar10"] == ["present"]
    raw = load_archive("cifar10", root)
    for name, found in (("train", raw.train), ("test", raw.test)):
        digests = row_digests(splits[name].inputs, splits[name].targets)
        order = sorted(range(len(digests)), key=digests.__getitem__)
        assert np.array_equal(found.inputs, splits[name].inputs[order])
        assert np.array_equal(found.targets, splits[name].targets[order])
    data = load_data(task(dataset="cifar10", validation="test"), 0, root)
    assert (data.rows("train"), data.validation is data.test) == (40, True)


def test_the_digest_is_of_sorted_rows_of_label_and_pixels() -> None:
    images = np.array([[[[1, 2]]], [[[3, 4]]]], dtype=np.uint8)
    rows = sorted(hashlib.sha256(bytes(row)).digest() for row in ([7, 1, 2], [0, 3, 4]))
    expected = hashlib.sha256(b"".join(rows)).hexdigest()
    for order in ([0, 1], [1, 0]):
        assert rows_digest(row_digests(images[order], np.array([7, 0])[order])) == expected


def test_mnist_in_its_original_order_becomes_its_original_files(mnist_files, tmp_path, monkeypatch) -> None:
    fetch_data("mnist", tmp_path / "original", mnist_files)
    raw = load_archive("mnist", tmp_path / "original")
    splits = {"train": raw.train, "test": raw.test}
    digests = {name: rows_digest(row_digests(split.inputs, split.targets)) for name, split in splits.items()}
    known = replace(ARCHIVES["mnist"].known, rows={"train": 30, "test": 12}, digests=digests)
    monkeypatch.setitem(ARCHIVES, "mnist", replace(ARCHIVES["mnist"], known=known))
    arrays = {f"{part}_{name}": array for name, split in splits.items() for part, array in
              (("x", split.inputs[:, 0]), ("y", split.targets))}  # fmt: skip
    for order, place in ((slice(None), "MNIST/raw"), (slice(None, None, -1), "mnist-rows")):
        folder = tmp_path / place.replace("/", "-")
        folder.mkdir()
        np.savez(folder / "mnist.npz", **{key: array[order] for key, array in arrays.items()})
        fetched = fetch_data("mnist", folder / "root", folder)
        assert fetched.folder == folder / "root" / place


def changed(splits: dict[str, Split], name: str, change: Callable[[Split], Split]) -> dict[str, Split]:
    return {**splits, name: change(Split(splits[name].inputs.copy(), splits[name].targets.copy()))}


def with_wrong_label(split: Split) -> Split:
    split.targets[3] = (split.targets[3] + 1) % 10
    return split


def with_swapped_labels(split: Split) -> Split:
    other = int(np.flatnonzero(split.targets != split.targets[0])[0])
    split.targets[[0, other]] = split.targets[[other, 0]]
    return split


def with_a_changed_pixel(split: Split) -> Split:
    split.inputs[5, 1, 2, 3] ^= 1
    return split


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_wrong_label, r"train: wrong labels \(class \d \(\w+\) [35], class"),
        (with_swapped_labels, "train: an image or a label is not the original's"),
        (with_a_changed_pixel, "train: an image or a label is not the original's"),
        (lambda split: Split(split.inputs[1:], split.targets[1:]), "train: holds 39 images, should be 40"),
        (lambda split: Split(split.inputs[:, :, :16, :16], split.targets), "3×16×16, should be 3×32×32"),
    ],
)
def test_what_differs_from_the_original_is_refused(form, change, message, splits, tmp_path) -> None:
    FORMS[form](tmp_path / "from", changed(splits, "train", change))
    with pytest.raises(DataError, match=message):
        fetch_data("cifar10", tmp_path / "root", tmp_path / "from")
    assert not list((tmp_path / "root").iterdir())


def test_a_truncated_file_is_named(splits, tmp_path) -> None:
    write_parquet(tmp_path / "from", splits)
    for name in ("train-00001-of-00002.parquet", "test-00000-of-00001.parquet"):
        path = tmp_path / "from" / name
        path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"00001-of-00002\.parquet: is truncated or damaged") as caught:
        fetch_data("cifar10", tmp_path / "root", tmp_path / "from")
    assert len(caught.value.problems) == 2
    write_npz(tmp_path / "packed", splits)
    packed = tmp_path / "packed" / "cifar10.npz"
    packed.write_bytes(packed.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"cifar10\.npz: is truncated or damaged"):
        fetch_data("cifar10", tmp_path / "root", tmp_path / "packed")


def test_what_is_no_image_is_named_with_its_place(splits, tmp_path) -> None:
    write_folders(tmp_path / "from", splits)
    picture = next((tmp_path / "from" / "train" / "CAT").iterdir())
    picture.write_bytes(picture.read_bytes()[:60])
    with pytest.raises(DataError, match=rf"CAT/{picture.name}: is no image that can be read"):
        fetch_data("cifar10", tmp_path / "root", tmp_path / "from")
    (tmp_path / "from" / "train" / "CAT").rename(tmp_path / "from" / "train" / "tiger")
    with pytest.raises(DataError, match="tiger: is the folder of no class"):
        fetch_data("cifar10", tmp_path / "root", tmp_path / "from")
    write_parquet(tmp_path / "rows", splits, image="picture")
    with pytest.raises(DataError, match="has no column image or img; its columns: picture, label"):
        fetch_data("cifar10", tmp_path / "root", tmp_path / "rows")


def test_damage_after_the_fetch_is_found(splits, tmp_path) -> None:
    write_npz(tmp_path / "from", splits)
    root = tmp_path / "root"
    fetch_data("cifar10", root, tmp_path / "from")
    file = root / "cifar10-rows" / "train.npz"
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    for read in (verify_data, load_archive):
        with pytest.raises(DataError, match=r"train\.npz.*lrstudy data fetch cifar10"):
            read("cifar10", root)
    assert not fetch_data("cifar10", root, tmp_path / "from").already
    verify_data("cifar10", root)


def test_a_set_without_a_known_digest_is_checked_by_numbers_and_says_so(
    splits, tmp_path, monkeypatch
) -> None:
    known = replace(ARCHIVES["cifar10"].known, digests=None)
    monkeypatch.setitem(ARCHIVES, "cifar10", replace(ARCHIVES["cifar10"], known=known))
    write_npz(tmp_path / "from", changed(splits, "train", with_a_changed_pixel))
    assert fetch_data("cifar10", tmp_path / "root", tmp_path / "from").by_numbers
    file = tmp_path / "root" / "cifar10-rows" / "test.npz"
    arrays = dict(np.load(file))
    arrays["images"][0, 0, 0, 0] ^= 1
    np.savez(file, **arrays)
    with pytest.raises(DataError, match="is altered: its digest is not that of its fetching"):
        verify_data("cifar10", tmp_path / "root")


@pytest.mark.parametrize(
    ("labels", "message"),
    [([1.5], "has a fraction"), (pa.array([None], pa.int64()), "is missing"), ([], "holds no images")],
)
def test_labels_that_are_no_whole_numbers_are_refused(labels, message: str, tmp_path: Path) -> None:
    images = [png(np.zeros((1, 28, 28), np.uint8))] * len(labels)
    for name in ("train", "test"):
        table = pa.table({"image": pa.array(images, pa.binary()), "label": labels})
        pq.write_table(table, tmp_path / f"{name}-0.parquet")
    with pytest.raises(DataError, match=message):
        read_images(tmp_path, ARCHIVES["fashion-mnist"].known)
