"""An extension of a study: what can be added to a run whose trials stay, as a command line."""

from __future__ import annotations

import shlex


def extend_command(run: str, what: str, value: int | str) -> str:
    """Return the command line that extends a run; ``what`` is a field of ``Extension``.

    >>> extend_command("runs/my study", "confirm_seeds", 20)
    "lrstudy extend 'runs/my study' --confirm-seeds 20"
    """
    return shlex.join(["lrstudy", "extend", run, f"--{what.replace('_', '-')}", str(value)])
