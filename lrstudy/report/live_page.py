"""The report of a run while it runs: the report's own page, built again whenever the store has changed.

A page costs seconds where a store is large. One thread builds it, and rests several times as long as the last
one took; requests get what is built.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from lrstudy.analysis import Summary, analyse
from lrstudy.errors import LrStudyError
from lrstudy.report.html import LiveBar
from lrstudy.report.page_model import Page
from lrstudy.report.sections.page import study_page
from lrstudy.report.sections.progress_table import progress_section
from lrstudy.report.writing import page_html, page_update
from lrstudy.rules.counting import counted
from lrstudy.rules.durations import waiting_time
from lrstudy.safe_text import describe
from lrstudy.store import Store
from lrstudy.store.lock import WriterWatch
from lrstudy.store.run_status import RunStatus, status_of
from lrstudy.store.underway import read_underway

# After a page that took a second none is built for five: a sixth of a core at most.
_REST: Final = 5


@dataclass(frozen=True, slots=True)
class _Built:
    """A page as it was built: its number, the store's state, and what is in it."""

    version: int
    changed: object
    summary: Summary
    page: Page
    status: RunStatus


class LivePage:
    """The page of one run. ``every`` is the number of seconds between two looks at its store.

    The kind of its line is ``running``, ``over``, ``stopped`` (trials are missing and no process trains them)
    or ``unreadable``.
    """

    def __init__(
        self, store: Store, every: float, watch: WriterWatch | None = None, resume: str = ""
    ) -> None:
        self._store, self._every = store, every
        self._resume = resume or f"lrstudy resume {store.location}"
        self._watch = watch or WriterWatch(store.location)
        self._error: str | None = None
        self._built = self._build(1, store)
        self._writer, self._underway = self._built.status.writer, self._built.status.underway
        self._at = _now()

    def keep_current(self, stop: Callable[[], bool]) -> None:
        """Look at the store until ``stop``, and build the page again after each change."""
        rest_until = 0.0
        while not stop():
            time.sleep(self._every)
            try:
                self._writer = self._watch.holder()
                self._underway = read_underway(self._store.location)
                changed = self._store.fingerprint()
                if changed != self._built.changed and time.monotonic() >= rest_until:
                    began = time.monotonic()
                    self._built = self._build(self._built.version + 1, self._store.refreshed())
                    rest_until = time.monotonic() + _REST * (time.monotonic() - began)
                self._error, self._at = None, _now()
            except Exception as error:  # noqa: BLE001 - whatever it is, the page must say so, and look again
                self._error = describe(error) if not isinstance(error, LrStudyError) else str(error)

    def html(self) -> str:
        """Return the whole page."""
        built = self._built
        names, reference = built.summary.names, built.summary.reference
        return page_html(built.page, names, reference, self._bar(built))

    def state(self, version: int) -> str:
        """Return the state of the run as JSON, with the page unless the reader has this ``version``."""
        built = self._built
        bar = self._bar(built)
        state: dict[str, Any] = {"kind": bar.kind, "words": bar.words, "at": bar.at, "version": bar.version}
        if version != built.version:
            names, reference = built.summary.names, built.summary.reference
            state["page"] = page_update(built.page, names, reference, bar)
        return json.dumps(state, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    def _build(self, version: int, store: Store) -> _Built:
        # Before the store is read: what is written in between makes the next look build again.
        changed = store.fingerprint()
        store = store.refreshed()
        summary = analyse(store)
        page = study_page(summary, datetime.now(UTC))
        status = status_of(store, self._watch.holder())
        if not status.complete:
            verdict, *others = page.sections
            page = replace(page, sections=(verdict, progress_section(status, summary.names), *others))
        return _Built(version, changed, summary, page, status)

    def _bar(self, built: _Built) -> LiveBar:
        status = replace(built.status, writer=self._writer, underway=self._underway)
        kind, words = _words(status, imported=self._store.study.imported, resume=self._resume)
        if self._error is not None:
            kind, words = "unreadable", f"The store cannot be read at the moment: {self._error}"
        return LiveBar(kind, words, self._at, built.version, self._every)


def _words(status: RunStatus, *, imported: bool, resume: str) -> tuple[str, str]:
    """Return the kind of a live page's line, and its words."""
    trials = f"{status.done:,} of {counted(status.planned, 'trial')}"
    if status.running:
        left = status.seconds_left
        time_left = "" if left is None else f", about {waiting_time(left)} left"
        underway = f", {status.underway}" if status.underway.trials else ""
        return "running", f"Running: {trials} done{underway}{time_left}. The verdict is the one so far."
    if not status.complete:
        return "stopped", (
            f"No process trains this run any more: it was stopped, or its driver was killed, with {trials} "
            f"done. To continue: {resume}"
        )
    if status.writer is not None and not imported:
        return "running", f"All {counted(status.planned, 'planned trial')} are done; the run is about to end."
    return "over", f"The run is over: {trials} done. The verdict is final."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
