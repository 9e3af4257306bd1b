"""The page of ``lrstudy doctor``: a line for each check, in the colour of its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from lrstudy.cli.terminal_table import line

if TYPE_CHECKING:
    from rich.console import Console

    from lrstudy.tuning.cluster.diagnosis import CheckResult

_STYLES: Final = {"ok": "green", "note": "cyan", "fault": "bold red"}


def show_check(console: Console, check: CheckResult) -> None:
    """Print the line of one check."""
    state = Text(check.state, style=_STYLES[check.state])
    text = "\n".join(filter(None, (check.seen, check.remedy)))
    console.print(line(state, check.name, text, widths=(5, 11), gap=1))
