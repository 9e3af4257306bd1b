"""Every command with its arguments and options, as the page ``README.md`` beside this module.

``python -m lrstudy.cli.command_reference > lrstudy/cli/README.md`` writes it; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from typer.main import get_command

from lrstudy.cli import commands  # noqa: F401 - importing it registers the commands
from lrstudy.cli.app import app

_INTRODUCTION: Final = """\
# Commands

Every command with its arguments and options, as `lrstudy COMMAND --help` shows them.
`python -m lrstudy.cli.command_reference` prints this page.

STUDY is a study file, RUN the folder of a run (`runs/<study>`) or its URI. After
`lrstudy --install-completion` the shell completes commands, options, study files, runs, trials, schedules,
data sets and formats.

"""


def command_reference() -> str:
    """Return the page: a Markdown table with a row for every command, argument and option."""
    rows = ["| command | argument or option | default | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        for name, command in _commands(get_command(app))
        for cells in _rows(name, command)
    ]
    return _INTRODUCTION + "\n".join(rows) + "\n"


def _commands(group: Any, prefix: str = "lrstudy") -> Iterator[tuple[str, Any]]:
    yield prefix, group
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _rows(name: str, command: Any) -> Iterator[tuple[str, str, str, str]]:
    yield f"**`{name}`**", "", "", (command.help or "").split("\n\n")[0].replace("\n", " ")
    for parameter in command.params:
        if parameter.name in ("help", "install_completion", "show_completion"):
            continue
        yield "", f"`{_usage(parameter)}`", _default(parameter), parameter.help or ""


def _usage(parameter: Any) -> str:
    metavar = parameter.metavar or parameter.name.upper()
    if parameter.param_type_name == "argument":
        several = parameter.nargs == -1 and not metavar.endswith(("...", "…"))
        word = f"{metavar}…" if several else metavar.replace("...", "…")
        return word if parameter.required or word.startswith("[") else f"[{word}]"
    names = ", ".join(parameter.opts)
    if parameter.is_flag:
        return names
    return f"{names} {parameter.metavar or parameter.opts[0].strip('-').upper()}"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    shown = default is not None and default is not False and default != ()
    return f"`{default}`" if shown else ""


if __name__ == "__main__":
    print(command_reference(), end="")
