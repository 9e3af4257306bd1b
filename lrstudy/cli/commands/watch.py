"""``lrstudy watch``: the report of a run while it runs, in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import RunArgument


@app.command()
def watch(
    run: RunArgument,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port of the page; default any free one.", show_default=False),
    ] = 0,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.2, help="Time between two looks at the store.")
    ] = 2.0,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; any but this one is seen by others.")
    ] = "127.0.0.1",
) -> None:
    """Show the report so far in a browser, and keep it current while the run continues; Ctrl-C ends it.

    The page is the report's own, with the trials so far, the time left and the verdict so far. It is served
    to this machine alone, and only under the address that is printed, which holds a token. From another
    machine: ssh -L PORT:127.0.0.1:PORT HOST.
    """
    from lrstudy.cli.output import console
    from lrstudy.cli.views.watch import serve_page

    serve_page(console(), run, host, port, every)
