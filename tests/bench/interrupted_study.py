"""A study whose driver is interrupted: its process, all that it started, and the comparison at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tuning"))

from fault_studies import assert_same, write_lane_study, write_study

from lrstudy.store import Location, open_location, open_store

MARK = "LRSTUDY_SOAK"
# Nothing of a study may run this long after its driver has ended.
LEFT_SECONDS = 60


@dataclass(frozen=True)
class Scenario:
    """A study to be interrupted."""

    lanes: bool
    search: str
    s3: bool = False

    @property
    def name(self) -> str:
        kind = "lanes" if self.lanes else "plain"
        return f"{kind}, {self.search}, {'S3' if self.s3 else 'disk'}"

    def write(self, folder: Path) -> Path:
        if self.lanes:
            return write_lane_study(folder, epochs=40, trials=6, seeds=2, search=self.search)
        return write_study(folder, epochs=16, trials=4, seeds=2, search=self.search)


@dataclass
class Row:
    """A line of the table."""

    what: str
    endings: int = 0
    stores: int = 0
    equal: int = 0
    resumed: int = 0
    left_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        notes = "; ".join(dict.fromkeys([*self.notes, *(f"**{fault}**" for fault in self.faults)]))
        return (
            f"| {self.what} | {self.endings} | {self.stores} | {self.equal} | {self.resumed} "
            f"| {self.left_seconds:.0f} | {notes} |"
        )


HEAD = """| what | endings | stores | equal | trials resumed | longest leftover, s | notes |
| --- | ---: | ---: | ---: | ---: | ---: | --- |"""


class Driver:
    """``lrstudy run`` as a process, all of whose descendants carry a mark in their environment."""

    def __init__(self, study: Path, out: str, *more: str) -> None:
        self.mark = f"{MARK}={os.urandom(8).hex()}"
        name, _, value = self.mark.partition("=")
        reports = str(study.parent / "reports")
        command = [sys.executable, "-m", "lrstudy", "run", study.name, "--out", out, "--reports", reports]
        self.log = study.parent / "driver.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--quiet", *more],
                cwd=study.parent,
                env={**os.environ, name: value},
                start_new_session=True,
                stdout=log,
                stderr=log,
            )

    def wait(self, seconds: float) -> int | None:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def descendants(self) -> list[int]:
        found = []
        for path in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if path.name.isdigit() and self.mark.encode() in (path / "environ").read_bytes():
                    found.append(int(path.name))
        return found

    def wait_for_rest(self, row: Row) -> None:
        """Wait until all that it started has ended, and note for how long; what never ends is a fault."""
        started = time.monotonic()
        while pids := self.descendants():
            if time.monotonic() - started > LEFT_SECONDS:
                row.faults.append(f"still running: {', '.join(sorted({_command(pid) for pid in pids}))}")
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.5)
        row.left_seconds = max(row.left_seconds, time.monotonic() - started)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().strip(b"\0").replace(b"\0", b" ").decode()[:60]
    except OSError:
        return "?"


@dataclass
class Reference:
    """A study's uninterrupted run and how long it took."""

    study: Path
    whole: Path
    seconds: float


def uninterrupted(scenario: Scenario, folder: Path) -> Reference:
    study = scenario.write(folder)
    started = time.monotonic()
    driver = Driver(study, str(folder / "whole"))
    code = driver.wait(900)
    assert code == 0, driver.log.read_text()[-2000:]
    seconds = time.monotonic() - started
    driver.wait_for_rest(Row("uninterrupted"))
    return Reference(study, folder / "whole" / "slow", seconds)


@dataclass
class Place:
    """Where an interrupted store lies: a folder, or a prefix at an S3 server."""

    out: str
    endpoint: str | None = None

    @property
    def more(self) -> list[str]:
        return [] if self.endpoint is None else ["--endpoint", self.endpoint]

    @property
    def store(self) -> Location:
        return open_location(f"{self.out}/slow", self.endpoint)


def finish(reference: Reference, place: Place, row: Row, tries: int = 1) -> None:
    """Run to the end and compare; several tries where the storage itself fails."""
    for _ in range(tries):
        driver = Driver(reference.study, place.out, *place.more)
        code = driver.wait(900)
        driver.wait_for_rest(row)
        if code == 0:
            break
        row.notes.append(f"exit {code}")
    row.stores += 1
    if code != 0:
        row.faults.append(f"exit {code}: {driver.log.read_text()[-300:]}")
        return
    try:
        assert_same(place.store, reference.whole)
        row.equal += 1
    except AssertionError as error:
        row.faults.append(f"differs: {' '.join(str(error).split())[:300]}")
    row.resumed += sum(record.attempt > 1 for record in open_store(place.store).trial_records())


def check_ending(driver: Driver, row: Row, code: int | None) -> None:
    """Note how a driver ended; no end and a traceback are faults."""
    row.notes.append(f"exit {code}")
    if code is None:
        row.faults.append("it did not end within 300 s")
        driver.send(signal.SIGKILL)
        driver.wait(60)
    text = driver.log.read_text(errors="replace")
    driver.log.unlink()
    for sign in ("Traceback", "*** SIG", "core_worker"):
        if sign in text:
            row.faults.append(f"on the screen: {text[text.index(sign) :][:300]}")
