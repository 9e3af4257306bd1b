"""The page of all commands is what the application says of itself."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from lrstudy.cli import commands  # noqa: F401 - importing it registers the commands
from lrstudy.cli.app import app
from lrstudy.cli.command_reference import command_reference

PAGE = Path(__file__).parents[2] / "lrstudy" / "cli" / "README.md"


def test_the_page_is_up_to_date() -> None:
    """If not: ``python -m lrstudy.cli.command_reference > lrstudy/cli/README.md``."""
    assert PAGE.read_text(encoding="utf-8") == command_reference()


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_help_is_filled_to_the_terminal_s_width(name: str) -> None:
    """A line ends only where the next line's first word does not fit into 80 columns."""
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80"}, terminal_width=80).output
    head = [line.strip() for line in shown.partition("╭─")[0].splitlines()]
    for line, following in pairwise(head):
        if line and following and not line.startswith("Usage:"):
            assert len(f" {line} {following.split()[0]}") >= 80, (line, following)
