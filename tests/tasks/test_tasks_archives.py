"""Fetching, verifying and reading MNIST's and CIFAR's formats: damage is named, nothing is left half done."""

from __future__ import annotations

import functools
import gzip
import http.server
import os
import pickle
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from torchvision import datasets

from lrstudy.errors import DataError
from lrstudy.tasks import load_data
from lrstudy.tasks.archives import ARCHIVES, data_root
from lrstudy.tasks.fetch import fetch_data, list_data, verify_data

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def state(name: str, root: Path) -> str:
    return next(found.state for found in list_data(root) if found.name == name)


def test_the_checksums_are_torchvisions() -> None:
    for name in ("cifar10", "cifar100"):
        reader = getattr(datasets, ARCHIVES[name].torchvision)
        lists = [*reader.train_list, *reader.test_list, [reader.meta["filename"], reader.meta["md5"]]]
        assert dict(ARCHIVES[name].files) == dict(lists)
        assert ARCHIVES[name].downloads == {reader.filename: (reader.url,)}
        assert ARCHIVES[name].folder == reader.base_folder
    for name in ("mnist", "fashion-mnist"):
        reader = getattr(datasets, ARCHIVES[name].torchvision)
        assert list(ARCHIVES[name].downloads) == [file for file, _ in reader.resources]
        for file, urls in ARCHIVES[name].downloads.items():
            assert {url.removesuffix(file) for url in urls} <= set(reader.mirrors)


def test_mnist_from_a_folder_of_the_original_files(mnist_files, tmp_path, task) -> None:
    root = tmp_path / "root"
    assert state("mnist", root) == "missing"
    fetched = fetch_data("mnist", root, mnist_files)
    assert not fetched.already
    assert [file.name for file in fetched.files] == list(ARCHIVES["mnist"].files)
    assert state("mnist", root) == "present"
    assert verify_data("mnist", root).folder == root / "MNIST" / "raw"
    data = load_data(task(dataset="mnist", validation=0.2), 0, root)
    assert data.train.inputs.shape == (24, 1, 28, 28)
    assert data.validation.inputs.shape == (6, 1, 28, 28)
    content = gzip.decompress((mnist_files / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    assert data.test.inputs.tobytes() == content
    assert data.test.targets.tolist() == [0, 1, 2] * 4
    assert fetch_data("mnist", root, tmp_path / "not looked at").already


def test_unpacked_files_do_as_well(mnist_files, tmp_path) -> None:
    for packed in mnist_files.glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    assert fetch_data("mnist", tmp_path / "root", mnist_files).folder is not None


def test_a_missing_data_set_names_the_command_that_fetches_it(tmp_path, task, monkeypatch) -> None:
    monkeypatch.setenv("LRSTUDY_DATA", str(tmp_path))
    with pytest.raises(DataError, match="lrstudy data fetch cifar100 ") as caught:
        load_data(task(dataset="cifar100"), 0)
    assert "--from DIR" in str(caught.value)
    with pytest.raises(DataError, match=f"lrstudy data fetch mnist --root {tmp_path}/x "):
        load_data(task(dataset="mnist"), 0, tmp_path / "x")


def test_a_truncated_gz_is_named_and_nothing_is_written(mnist_files, tmp_path) -> None:
    for name in ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        path = mnist_files / name
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: is truncated or damaged") as caught:
        fetch_data("mnist", tmp_path / "root", mnist_files)
    assert len(caught.value.problems) == 2
    assert everything(tmp_path / "root") == []


def test_a_wrong_checksum_is_named_and_nothing_is_written(mnist_files, tmp_path) -> None:
    path = mnist_files / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1] + b"\x09"))
    with pytest.raises(DataError, match=r"originals: train-labels-idx1-ubyte: is truncated or altered \(MD5"):
        fetch_data("mnist", tmp_path / "root", mnist_files)
    assert everything(tmp_path / "root") == []


def test_missing_files_are_all_listed(mnist_files, tmp_path) -> None:
    for name in ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        (mnist_files / name).unlink()
    with pytest.raises(DataError, match="does not hold train-images-idx3-ubyte or") as caught:
        fetch_data("mnist", tmp_path / "root", mnist_files)
    assert len(caught.value.problems) == 2
    with pytest.raises(DataError, match="is not a folder"):
        fetch_data("mnist", tmp_path / "root", tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["truncate", "alter", "remove"])
def test_damage_after_the_fetch_is_found_before_training_and_repaired(
    damage, mnist_files, tmp_path, task
) -> None:
    root = tmp_path / "root"
    fetch_data("mnist", root, mnist_files)
    file = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    content = file.read_bytes()
    if damage == "truncate":
        file.write_bytes(content[:-100])
    elif damage == "alter":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        file.unlink()
        assert state("mnist", root) == "incomplete"
    word = "is missing" if damage == "remove" else "is truncated or altered"
    for look in (lambda: verify_data("mnist", root), lambda: load_data(task(dataset="mnist"), 0, root)):
        with pytest.raises(DataError, match=f"{file}.*{word}.*lrstudy data fetch mnist"):
            look()
    assert not fetch_data("mnist", root, mnist_files).already
    assert file.read_bytes() == content
    assert [path for path in everything(root) if ".fetch" in path] == []


@pytest.mark.parametrize("form", ["tar", "unpacked"])
def test_cifar_from_its_archive(form, cifar_files, tmp_path, task) -> None:
    root = tmp_path / "root"
    fetch_data("cifar10", root, cifar_files if form == "tar" else cifar_files / "unpacked")
    data = load_data(task(dataset="cifar10", validation=0.4), 0, root)
    assert data.train.inputs.shape == (18, 3, 32, 32)
    assert data.test.targets.tolist() == [0, 1, 2, 3, 4, 5]
    # Channels stand first on disk; torchvision's reader turns them, the loader turns them back.
    with (root / "cifar-10-batches-py" / "test_batch").open("rb") as file:
        stored = pickle.load(file)["data"]
    assert data.test.inputs.reshape(6, 3072).tolist() == stored.tolist()
    assert everything(root / "cifar-10-batches-py") == sorted(ARCHIVES["cifar10"].files)


def test_a_truncated_cifar_archive_is_named_and_nothing_is_written(cifar_files, tmp_path) -> None:
    tar = cifar_files / "cifar-10-python.tar.gz"
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz: is truncated or damaged"):
        fetch_data("cifar10", tmp_path / "root", cifar_files)
    assert everything(tmp_path / "root") == []


def test_a_missing_and_an_altered_cifar_batch_are_both_named(cifar_files, tmp_path, task) -> None:
    folder = cifar_files / "unpacked" / "cifar-10-batches-py"
    (folder / "data_batch_3").unlink()
    (folder / "test_batch").write_bytes(b"other")
    tar_path = cifar_files / "cifar-10-python.tar.gz"
    with tarfile.open(tar_path, "w:gz") as tar:
        tar.add(folder, "cifar-10-batches-py")
    with pytest.raises(DataError, match="data_batch_3: is missing") as caught:
        fetch_data("cifar10", tmp_path / "root", cifar_files)
    assert "test_batch: is truncated or altered" in str(caught.value)
    assert everything(tmp_path / "root") == []
    with pytest.raises(DataError, match="does not hold data_batch_3 or cifar-10-python"):
        fetch_data("cifar10", tmp_path / "root", folder)


def test_paths_inside_an_archive_are_not_followed(cifar_files, tmp_path) -> None:
    folder = cifar_files / "unpacked" / "cifar-10-batches-py"
    with tarfile.open(cifar_files / "cifar-10-python.tar.gz", "w:gz") as tar:
        for file in folder.iterdir():
            tar.add(file, f"../../../outside/{file.name}")
        tar.add(folder / "test_batch", "../../evil")
    fetch_data("cifar10", tmp_path / "root", cifar_files)
    assert everything(tmp_path / "root" / "cifar-10-batches-py") == sorted(ARCHIVES["cifar10"].files)
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "evil").exists()


@pytest.fixture
def server(mnist_files, monkeypatch):
    """The original files behind a web server of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    handler = functools.partial(Quiet, directory=str(mnist_files))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{running.server_port}/"
        downloads = {
            file: (f"{address}gone/{file}", f"{address}{file}") for file in ARCHIVES["mnist"].downloads
        }
        archive = replace(ARCHIVES["mnist"], downloads=MappingProxyType(downloads))
        monkeypatch.setitem(ARCHIVES, "mnist", archive)
        yield
        running.shutdown()


@pytest.mark.usefixtures("server")
def test_a_download_tries_the_mirrors_and_is_verified(mnist_files, tmp_path) -> None:
    fetch_data("mnist", tmp_path / "root")
    verify_data("mnist", tmp_path / "root")
    assert [path for path in everything(tmp_path / "root") if "fetch" in path or path.endswith(".gz")] == []


@pytest.mark.usefixtures("server")
def test_a_failed_download_names_the_way_without_a_network(mnist_files, tmp_path) -> None:
    (mnist_files / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"cannot be downloaded.*404.*lrstudy data fetch mnist --from DIR"):
        fetch_data("mnist", tmp_path / "root")
    assert everything(tmp_path / "root") == []


def test_shipped_data_sets_need_no_fetch(tmp_path) -> None:
    assert fetch_data("digits", tmp_path).files == ()
    assert verify_data("iris", tmp_path).already
    assert everything(tmp_path) == []
    with pytest.raises(DataError, match="Did you mean 'fashion-mnist'"):
        fetch_data("fashion-mnst", tmp_path)


def test_the_root_is_the_one_given_else_the_environments_else_the_users_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LRSTUDY_DATA", str(tmp_path / "a"))
    assert data_root(tmp_path / "b") == tmp_path / "b"
    assert data_root() == tmp_path / "a"
    monkeypatch.delenv("LRSTUDY_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert data_root() == tmp_path / "c" / "lrstudy"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "d"))
    assert data_root() == tmp_path / "d" / ".cache" / "lrstudy"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_root_that_cannot_be_written_is_refused(mnist_files, tmp_path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"cannot be written.*LRSTUDY_DATA"):
        fetch_data("mnist", tmp_path / "locked" / "root", mnist_files)


def test_a_root_that_is_a_file_is_refused(mnist_files, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written.*LRSTUDY_DATA"):
        fetch_data("mnist", tmp_path / "file", mnist_files)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_debians_fashion_mnist(tmp_path, task) -> None:
    fetch_data("fashion-mnist", tmp_path, DEBIAN)
    data = load_data(task(dataset="fashion-mnist", rows=10_000), 0, tmp_path)
    assert data.train.inputs.shape == (8000, 1, 28, 28)
    assert np.bincount(data.train.targets).tolist() == [800] * 10
    assert np.bincount(data.test.targets).tolist() == [1000] * 10
    # The mean pixel of all training images, as torch users normalise by: 0.2860.
    assert data.train.inputs.mean() / 255 == pytest.approx(0.2860, abs=0.003)
