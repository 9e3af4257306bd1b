"""Every command with its arguments and options, as the README's table; made from the application itself.

``python -m lrstudy.cli.command_reference`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command


def command_reference() -> str:
    """A Markdown table with a row for every command, argument and option."""
    from lrstudy.cli import app, commands  # noqa: F401 - importing commands registers them

    rows = ["| command | argument or option | default | what it is |", "| --- | --- | --- | --- |"]
    rows += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        for name, command in _commands(get_command(app))
        for cells in _rows(name, command)
    ]
    return "\n".join(rows) + "\n"


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
        return word if parameter.required else f"[{word}]"
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
