"""The address of a live page, shown until Ctrl-C."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

from rich.console import Console

from lrstudy.cli.views.report import relative
from lrstudy.errors import EXIT_DONE
from lrstudy.report.live import LiveServer
from lrstudy.report.live_page import LivePage
from lrstudy.store import open_store


def serve_page(console: Console, run: str, host: str, port: int, every: float) -> None:
    """Serve the live page of a run until Ctrl-C; raises ``InputError`` if the port cannot be used."""
    with suppress(KeyboardInterrupt):  # the usual way to end it
        store = open_store(run)
        place = str(store.location) if store.location.local is None else str(relative(store.location.local))
        server = LiveServer(LivePage(store, every, resume=f"lrstudy resume {place}"), host, port)
        server.start()
        console.print(f"{place}: {server.address}", markup=False, soft_wrap=True, highlight=False)
        console.print("Ctrl-C ends the page, not the run.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            server.close()
            sys.stdout.flush()
            # A page that is being built, or a store's server that does not answer, would keep this process.
            os._exit(EXIT_DONE)
