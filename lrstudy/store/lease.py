"""One writer per folder on storage without locks: a claim, a heartbeat, and takeover when that stops.

``.writer/<name>.claim`` names the driver that writes (``claims`` has the rule); it is put once.
``<name>.beat`` beside it is put again every few seconds. Two clocks are never compared: a driver is dead when
its process is gone from this machine, or when its beat has not changed for ``LEASE_SECONDS`` while this
process watched.

A driver that was stopped that long (a suspended machine, a network that was down) may have been taken for
dead. So it looks for its claim before and after each write, and writes only within ``FRESH_SECONDS`` of a
beat by itself. The driver that takes over waits ``SETTLE_SECONDS`` for a write that is on its way. A write
that hangs in the network for longer than that remains possible: the check after it fails, and ``lrstudy
doctor`` shows its traces.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from lrstudy.errors import StoreError
from lrstudy.store.claims import Delete, List, Look, Put, Sight, Step, Wait, claim
from lrstudy.store.location import Location
from lrstudy.store.processes import ProcessIdentity
from lrstudy.store.store_errors import store_error

FOLDER: Final = ".writer"
BEAT_SECONDS: Final = 3.0
LEASE_SECONDS: Final = 60.0
FRESH_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 5.0
_CLAIM, _BEAT = ".claim", ".beat"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds that the lease works with, as described above."""

    beat: float = BEAT_SECONDS
    lease: float = LEASE_SECONDS
    fresh: float = FRESH_SECONDS
    settle: float = SETTLE_SECONDS


class LeaseLock:
    """The lock of one folder; taken when made, until ``release`` or the end of the process.

    Raises ``StoreError`` when another driver has it. ``tell`` is given what the user should know while this
    one waits for the lease of a driver that may have died.
    """

    def __init__(
        self, folder: Location, timing: Timing | None = None, tell: Callable[[str], None] = _log.warning
    ) -> None:
        self._store, self._folder = folder, folder / FOLDER
        self._timing, self._tell = timing or Timing(), tell
        # The earlier of two that wait mostly has the smaller name and gets the store. Clocks decide no more.
        self.name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        self._owner = ProcessIdentity.own()
        self._watch = _Watch(self._folder, self._timing)
        self._holds = self._lost = False
        self._beats, self._beaten_at = 0, 0.0
        self._ended, self._beating = threading.Event(), threading.Lock()
        self._told: set[str] = set()
        self._folder.create_folder()
        self._heart = threading.Thread(target=self._beat_on, name="lrstudy-lease", daemon=True)
        try:
            self._take()
        except BaseException:
            self.release()
            raise

    def check(self) -> None:
        """Raise ``StoreError`` unless this driver still holds the store; called before and after a write."""
        if not self._lost and not self._is_fresh():
            # Stopped for a while: show a sign of life, and give who was about to take over time to do it.
            self._beat()
            time.sleep(self._timing.settle)
        if self._lost or not self._has(_CLAIM):
            self._lost = True
            raise store_error(
                str(self._store),
                f"another lrstudy has taken over this run, because {self._owner} gave no sign of life for "
                f"{self._timing.lease:.0f} s",
                f"This one has stopped writing. To inspect the run: lrstudy doctor {self._store}",
            )

    def release(self) -> None:
        """Give the store up; doing so twice is harmless."""
        self._ended.set()
        if self._heart.is_alive():
            self._heart.join()
        self._holds = False
        for ending in (_BEAT, _CLAIM):
            with suppress(StoreError):
                self._delete(self.name, ending)

    def _take(self) -> None:
        steps = claim(self.name)
        answer: Any = None
        while True:
            try:
                answer = self._do(steps.send(answer))
            except StopIteration as end:
                winner = end.value
                break
        if winner is not None:
            raise self._refusal(winner)
        self._holds = True
        self._beat()
        self._remove_remains()

    def _do(self, step: Step) -> Any:
        match step:
            case Put(name):
                self._beat()
                content = json.dumps(asdict(self._owner) | {"since": time.strftime("%Y-%m-%d %H:%M:%S %Z")})
                (self._folder / f"{name}{_CLAIM}").write(content.encode())
                self._heart.start()
            case List():
                return [n.removesuffix(_CLAIM) for n in self._folder.names() if n.endswith(_CLAIM)]
            case Look(name):
                return self._watch.look(name)
            case Delete(name):
                self._remove(name)
            case Wait(names):
                self._explain(names)
                time.sleep(self._timing.beat / 3)
        return None

    def _remove(self, name: str) -> None:
        """Delete a claim; that of a driver on another machine may be about to write once more."""
        provable = name == self.name or self._watch.owner(name).alive() is False
        if not provable and self._watch.look(name) is not Sight.DEAD:
            return
        self._delete(name, _CLAIM)
        self._delete(name, _BEAT)
        if not provable:
            time.sleep(self._timing.settle)

    def _delete(self, name: str, ending: str) -> None:
        file = self._folder / f"{name}{ending}"
        try:
            file.delete()
        except StoreError:
            if file.exists():
                raise

    def _refusal(self, winner: str) -> StoreError:
        if winner == self.name:
            return store_error(
                str(self._store),
                "another lrstudy considered this one dead while it started",
                "Run the command again",
            )
        holder = self._watch.described(winner)
        return store_error(
            str(self._store),
            f"another lrstudy is writing here ({holder})",
            "Wait for it to end or stop it, or choose another --out",
        )

    def _explain(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self._told and self._watch.silent_seconds(name) > 2 * self._timing.beat:
                self._told.add(name)
                wait = self._timing.lease + self._timing.settle
                self._tell(
                    f"{self._store}: {self._watch.described(name)} was writing here and gives no sign of "
                    f"life; waiting up to {wait:.0f} s before this one takes over"
                )

    def _beat_on(self) -> None:
        while not self._ended.wait(self._timing.beat):
            try:
                if not self._has(_CLAIM):
                    self._lost = True
                    return
                self._beat()
            except StoreError as error:
                _log.info("no heartbeat: %s", error)

    def _beat(self) -> None:
        with self._beating:
            began = time.monotonic()
            self._beats += 1
            content = json.dumps({"beat": self._beats, "holds": self._holds})
            (self._folder / f"{self.name}{_BEAT}").write(content.encode())
            self._beaten_at = began

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._beaten_at < self._timing.fresh

    def _has(self, ending: str) -> bool:
        return (self._folder / f"{self.name}{ending}").exists()

    def _remove_remains(self) -> None:
        """Remove beats whose claims are gone: a killed driver's, or one that beat once more after that."""
        names = self._folder.names()
        claims = {name.removesuffix(_CLAIM) for name in names if name.endswith(_CLAIM)}
        for name in names:
            if name.endswith(_BEAT) and name.removesuffix(_BEAT) not in claims:
                self._delete(name.removesuffix(_BEAT), _BEAT)


class _Watch:
    """The other claims as one process has seen them since it began to look."""

    def __init__(self, folder: Location, timing: Timing) -> None:
        self._folder, self._timing = folder, timing
        self._claims: dict[str, dict[str, Any]] = {}
        self._beats: dict[str, tuple[bytes, float]] = {}
        self._lives: set[str] = set()

    def look(self, name: str) -> Sight:
        """Return what is known of a claim's driver now."""
        alive = self.owner(name).alive()
        if alive is False:
            return Sight.DEAD
        # The time before the beat is read: this process may be stopped in between.
        now, beat = time.monotonic(), self._read(name, _BEAT)
        before, since = self._beats.setdefault(name, (beat, now))
        if beat and beat != before:
            self._beats[name] = (beat, now)
            self._lives.add(name)
        elif now - since >= self._timing.lease and not alive:
            return Sight.DEAD
        if not alive and name not in self._lives:
            return Sight.SILENT
        return Sight.HOLDS if _holds(beat or before) else Sight.WAITS

    def silent_seconds(self, name: str) -> float:
        """Return for how long a driver has given no sign of life; 0 for one that is known to live."""
        if name in self._lives or name not in self._beats:
            return 0.0
        return time.monotonic() - self._beats[name][1]

    def owner(self, name: str) -> ProcessIdentity:
        """Return the process that a claim is of; one that does not exist where the claim is unreadable."""
        try:
            return ProcessIdentity.from_dict(self._claim(name))
        except (KeyError, TypeError, ValueError):
            return ProcessIdentity("an unknown machine", 0, "", "")

    def described(self, name: str) -> str:
        """Return a claim's driver in words."""
        since = self._claim(name).get("since")
        return f"{self.owner(name)}{f' since {since}' if since else ''}"

    def _claim(self, name: str) -> dict[str, Any]:
        if name not in self._claims:
            try:
                found = json.loads(self._read(name, _CLAIM) or b"{}")
            except ValueError:
                found = {}
            if not found:
                return {}
            self._claims[name] = found if isinstance(found, dict) else {}
        return self._claims[name]

    def _read(self, name: str, ending: str) -> bytes:
        try:
            return (self._folder / f"{name}{ending}").read()
        except StoreError:
            return b""


def _holds(beat: bytes) -> bool:
    try:
        return bool(json.loads(beat)["holds"])
    except (ValueError, KeyError, TypeError):
        return False


class LeaseWatch:
    """The driver that writes in a folder, from several looks.

    A driver on another machine whose beat does not change between the looks counts as dead after
    ``timing.lease`` seconds.
    """

    def __init__(self, folder: Location, timing: Timing | None = None) -> None:
        self._claims = folder / FOLDER
        self._watch = _Watch(self._claims, timing or Timing())

    def holder(self) -> str | None:
        """Return the driver that writes now, in words; None if none does, or only dead ones."""
        for name in (n.removesuffix(_CLAIM) for n in self._claims.names() if n.endswith(_CLAIM)):
            if self._watch.look(name) is not Sight.DEAD:
                return self._watch.described(name)
        return None
