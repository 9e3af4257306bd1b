"""One writer at a time: the same promises on a local disk and on storage that has no locks."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs
from store_samples import study, trial

from lrstudy.errors import StoreError
from lrstudy.store import StoreWriter, open_location, open_store, writer_of
from lrstudy.store.lease import LeaseLock, Timing
from lrstudy.store.location import Location
from lrstudy.store.lock import FolderLock, lock_folder
from lrstudy.store.processes import ProcessIdentity

HERE = Path(__file__).parent
SHORT = Timing(beat=0.1, lease=1.5, fresh=0.5, settle=0.1)
# Opens the folder of the other arguments as the test does: "disk", or storage without locks.
OPEN = f"""
import os, signal, sys, time
sys.path.insert(0, {str(HERE)!r})
from test_store_lock import SHORT, elsewhere, opened
from store_samples import study, trial
from lrstudy.errors import StoreError
from lrstudy.store.lease import LeaseLock
from lrstudy.store.lock import lock_folder
folder = opened(sys.argv[1], sys.argv[2])
"""
HOLD = f"{OPEN}\nlock = lock_folder(folder)\nprint('held', flush=True)\ntime.sleep(600)"
# Each takes the lock as often as it can, and looks if it is alone while it has it.
RACE = f"""{OPEN}
from lrstudy.store import lease
lease.Timing.__init__.__defaults__ = (0.1, 60.0, 20.0, 5.0)
end, held = time.monotonic() + 3, 0
while time.monotonic() < end:
    try:
        lock = lock_folder(folder)
    except StoreError:
        continue
    alone = os.open(sys.argv[3], os.O_CREAT | os.O_EXCL)
    held += 1
    os.close(alone)
    os.unlink(sys.argv[3])
    lock.release()
print(held)
"""
# A writer of another machine that is stopped and continued.
SUSPENDED = f"""{OPEN}
elsewhere()
from lrstudy.store import StoreWriter, writer
writer.lock_folder = lambda folder: LeaseLock(folder, SHORT)
store = StoreWriter.create_or_open(folder, study())
store.append(*trial(0))
print("written", flush=True)
sys.stdin.readline()
try:
    store.append(*trial(1))
except StoreError as error:
    print(error, flush=True)
"""


def opened(kind: str, folder: str | Path) -> Location:
    """The folder on this disk, or as storage that can put, list and delete only."""
    if kind == "disk":
        return open_location(folder)
    return Location(fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem()), "run", "hdfs://run")


def elsewhere() -> None:
    """Make this process one of another machine, in the eyes of all others."""
    own = ProcessIdentity.own()
    other = ProcessIdentity("elsewhere", own.pid, "another boot", own.started)
    ProcessIdentity.own = classmethod(lambda cls: other)  # type: ignore[method-assign, assignment]


@pytest.fixture(params=["disk", "storage"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(kind: str, tmp_path: Path) -> Location:
    place = opened(kind, tmp_path)
    place.create_folder()
    return place


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def runs(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    return state not in ("Z", "X") or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_the_kinds_of_lock_are_those_of_the_places(tmp_path: Path) -> None:
    for kind, lock in (("disk", FolderLock), ("storage", LeaseLock)):
        place = opened(kind, tmp_path)
        place.create_folder()
        held = lock_folder(place)
        assert isinstance(held, lock)
        held.release()


def test_a_second_writer_is_refused_at_once_and_told_which_process_writes(
    folder: Location, tmp_path: Path
) -> None:
    lock = lock_folder(folder)
    lock.check()
    with pytest.raises(StoreError, match=rf"process {os.getpid()} on .*Wait for it to end") as refused:
        lock_folder(folder)
    assert refused.value.exit_code == 2
    assert str(writer_of(folder)).startswith(f"process {os.getpid()} on")
    lock.check()
    lock.release()
    lock.release()
    assert writer_of(folder) is None
    assert files(tmp_path) == []
    lock_folder(folder).release()


def test_a_killed_writer_of_this_machine_is_replaced_at_once(
    kind: str, folder: Location, tmp_path: Path
) -> None:
    child = start(HOLD, kind, tmp_path)
    assert said(child) == "held"
    with pytest.raises(StoreError, match=f"process {child.pid} on"):
        lock_folder(folder)
    child.send_signal(signal.SIGSTOP)  # stopped is not dead
    with pytest.raises(StoreError, match=f"process {child.pid} on"):
        lock_folder(folder)
    child.kill()
    while runs(child.pid):
        time.sleep(0.01)
    # Not waited for: what is left of the process until its parent asks is no process.
    lock = lock_folder(folder)
    lock.check()
    lock.release()
    child.communicate()
    assert files(tmp_path) == []


def test_a_writer_that_starts_while_a_reader_asks_who_writes_is_not_refused(tmp_path: Path) -> None:
    file = (tmp_path / ".writer.lock").open("a+")  # left by a killed driver
    fcntl.flock(file, fcntl.LOCK_SH)  # the moment of a reader's question, made longer
    threading.Timer(0.15, file.close).start()
    FolderLock(tmp_path).release()


def test_readers_that_ask_at_once_who_writes_do_not_see_each_other(tmp_path: Path) -> None:
    with (tmp_path / ".writer.lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as another reader has it
        assert writer_of(open_location(tmp_path)) is None


def test_of_many_writers_that_try_at_once_one_holds_at_a_time(kind: str, tmp_path: Path) -> None:
    opened(kind, tmp_path).create_folder()
    racers = [start(RACE, kind, tmp_path, tmp_path / "alone") for _ in range(3)]
    times = [int(racer.communicate(timeout=300)[0]) for racer in racers]  # none met another
    assert sum(times) > 0
    assert files(tmp_path) == []


@pytest.fixture
def storage(tmp_path: Path) -> Location:
    place = opened("storage", tmp_path)
    place.create_folder()
    return place


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Location], LeaseLock]]:
    """Makes the lock of a driver of another machine."""
    made = []

    def make(place: Location) -> LeaseLock:
        with monkeypatch.context() as patch:
            own = ProcessIdentity.own()
            patch.setattr(
                ProcessIdentity, "own", lambda: ProcessIdentity("elsewhere", own.pid, "another boot", "1")
            )
            made.append(LeaseLock(place, SHORT))
        return made[-1]

    yield make
    for lock in made:
        lock.release()


def stop_heart(lock: LeaseLock) -> None:
    """Stop the heartbeat, as a suspended machine does."""
    lock._ended.set()
    lock._heart.join()


def test_a_writer_of_another_machine_that_lives_is_not_replaced(
    storage: Location, others: Callable[[Location], LeaseLock]
) -> None:
    other, told = others(storage), list[str]()
    with pytest.raises(StoreError, match=r"another lrstudy is writing here \(process \d+ on elsewhere"):
        LeaseLock(storage, SHORT, told.append)
    assert told == []
    other.check()


def test_the_lease_of_a_dead_writer_of_another_machine_is_waited_for_and_said(
    storage: Location, others: Callable[[Location], LeaseLock]
) -> None:
    other, told = others(storage), list[str]()
    stop_heart(other)
    lock = LeaseLock(storage, SHORT, told.append)
    (message,) = told
    assert "on elsewhere" in message
    assert "no sign of life; waiting up to 2 s" in message
    lock.check()
    with pytest.raises(StoreError, match="has taken over this run"):
        other.check()
    other._beat()  # it comes too late, and brings no claim back
    lock.check()
    other.release()
    lock.release()


def test_a_writer_that_was_stopped_for_a_while_goes_on_if_no_other_has_taken_over(
    storage: Location, others: Callable[[Location], LeaseLock]
) -> None:
    other = others(storage)
    stop_heart(other)
    time.sleep(SHORT.fresh)
    other.check()


def test_a_writer_that_was_replaced_while_stopped_writes_nothing_more(tmp_path: Path) -> None:
    storage = opened("storage", tmp_path)
    child = start(SUSPENDED, "storage", tmp_path)
    assert said(child) == "written"
    child.send_signal(signal.SIGSTOP)
    lock = LeaseLock(storage, SHORT)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    child.send_signal(signal.SIGCONT)
    assert child.stdin is not None
    child.stdin.write("go on\n")
    child.stdin.flush()
    assert "another lrstudy has taken over this run" in said(child)
    child.kill()
    child.communicate()
    lock.check()
    lock.release()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == before
    with StoreWriter.create_or_open(storage, study()) as writer:
        writer.append(*trial(1))
    assert open_store(storage).evaluations().num_rows == 6


def test_a_claim_that_cannot_be_read_is_nobodys_and_waits_for_its_lease(storage: Location) -> None:
    (storage / ".writer").create_folder()
    (storage / ".writer" / "00000-x.claim").write(b"{not json")
    told: list[str] = []
    LeaseLock(storage, SHORT, told.append).release()
    assert len(told) == 1


def test_a_mount_that_other_machines_share_has_both_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\nserver:/x {tmp_path}/shared nfs4 rw 0 0\n")
    monkeypatch.setattr("lrstudy.store.lock._MOUNTS", mounts)
    folder = open_location(tmp_path / "shared" / "run")
    folder.create_folder()
    lock: Any = lock_folder(folder)
    assert files(tmp_path / "shared")[-1].endswith(".claim")
    (tmp_path / "shared/run/.writer.lock").unlink()  # as if the kernel's lock held on another machine only
    with pytest.raises(StoreError, match=f"process {os.getpid()} on"):
        lock_folder(folder)
    lock.release()
    assert files(tmp_path / "shared") == []
