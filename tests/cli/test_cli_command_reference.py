"""The page of all commands is what the application says of itself."""

from __future__ import annotations

from pathlib import Path

from lrstudy.cli.command_reference import command_reference

PAGE = Path(__file__).parents[2] / "lrstudy" / "cli" / "README.md"


def test_the_page_is_up_to_date() -> None:
    """If not: ``python -m lrstudy.cli.command_reference > lrstudy/cli/README.md``."""
    assert PAGE.read_text(encoding="utf-8") == command_reference()
