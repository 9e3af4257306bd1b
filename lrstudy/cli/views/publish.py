"""The copy of a run for others: its files are written, and the command that reads it is shown."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lrstudy.rules.counting import counted

if TYPE_CHECKING:
    from rich.console import Console


def publish_run(console: Console, run: str, to: str) -> None:
    """Publish a run and print what was written; raises ``StoreError`` where that cannot be."""
    from lrstudy.analysis import analyse
    from lrstudy.report.card import FIGURE, card
    from lrstudy.report.short import short_figure
    from lrstudy.store import open_location, open_store
    from lrstudy.store.publication import publish_store

    store, place = open_store(run), open_location(to)
    summary = analyse(store)
    figure = short_figure(summary)
    pages = {"README.md": card(summary, str(place), has_figure=bool(figure)).encode()}
    if figure:
        pages[FIGURE] = figure
    written = publish_store(store, place, pages)
    if not summary.complete:
        console.print(f"{summary.ended} of {summary.planned} trials so far: publish again when it is done")
    console.print(
        f"published: {place}, {counted(len(written), 'file')} written", markup=False, soft_wrap=True
    )
    console.print(f"next: lrstudy report {shlex.quote(str(place))}", markup=False, soft_wrap=True)
