"""A disk that is full: a clear error, nothing torn, and the waiting rows are written once there is room."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from store_samples import study, trial

from lrstudy.errors import StoreError
from lrstudy.store import StoreWriter, open_store


class _FullDisk:
    """Makes the last step of a write fail while ``full`` is set."""

    def __init__(self, code: int) -> None:
        self.full, self.code, self.real = False, code, os.fsync

    def fsync(self, descriptor: int) -> None:
        if self.full:
            raise OSError(self.code, os.strerror(self.code))
        self.real(descriptor)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_rows_wait_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    disk = _FullDisk(code)
    monkeypatch.setattr(os, "fsync", disk.fsync)
    with StoreWriter.create_or_open(tmp_path, study(), chunk_rows=4) as writer:
        writer.append(*trial(0))
        disk.full = True
        for rows in (trial(1), trial(1), trial(2)):  # the second is a caller that tries again
            with pytest.raises(StoreError, match=r"disk is full.*Free some space"):
                writer.append(*rows)
        assert open_store(tmp_path).evaluations().num_rows == 3
        assert not list(tmp_path.rglob("*.tmp"))
        disk.full = False
        writer.append()
    store = open_store(tmp_path)
    assert [record.trial_id[-1] for record in store.trial_records()] == ["0", "1", "2"]
    assert store.evaluations().num_rows == 9


def test_no_room_for_the_very_first_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = _FullDisk(errno.ENOSPC)
    monkeypatch.setattr(os, "fsync", disk.fsync)
    disk.full = True
    with pytest.raises(StoreError, match="disk is full"):
        StoreWriter.create_or_open(tmp_path / "new", study())
    disk.full = False
    StoreWriter.create_or_open(tmp_path / "new", study()).close()


ON_A_SMALL_DISK = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from store_samples import study, trial
from lrstudy.errors import StoreError
from lrstudy.store import StoreWriter, open_store
folder = Path(sys.argv[1])
ballast = folder / "ballast"
ballast.write_bytes(bytes(1_000_000))
writer = StoreWriter.create_or_open(folder / "store", study())
failed = 0
for number in range(200):
    try:
        writer.append(*trial(number, 20, error="%032x" % (number * 7919 ** 7)))
    except StoreError as error:
        assert "the disk is full" in str(error), error
        before = open_store(folder / "store")
        assert before.evaluations().num_rows >= 20 * before.trials().num_rows
        failed += 1
        if failed == 3:
            ballast.unlink()
assert failed >= 3, "the disk never filled"
writer.close()
after = open_store(folder / "store")
print(after.trials().num_rows, after.evaluations().num_rows, len(set(after.trials()["trial_id"].to_pylist())))
"""


def test_a_real_small_disk_fills_up_and_gets_room_again(tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o size=1m tmpfs "{tmp_path}"'
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*alone, mount], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system of his own")
    run = [*alone, f'{mount} && exec "$0" -c "$1" "$2"', sys.executable, ON_A_SMALL_DISK, str(tmp_path)]
    result = subprocess.run(run, capture_output=True, text=True)
    assert result.stderr == ""
    assert result.stdout == "200 4000 200\n"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot be written.*choose another --out"):
        StoreWriter.create_or_open(tmp_path / "file" / "study", study())


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = _FullDisk(errno.EACCES)
    monkeypatch.setattr(os, "fsync", disk.fsync)
    disk.full = True
    with pytest.raises(StoreError, match=r"permission denied.*Choose another --out"):
        StoreWriter.create_or_open(tmp_path / "new", study())
