"""One module per command; importing this package registers them all, in the order of the help."""

from lrstudy.cli.commands import run, plan, status, report, data, tasks, schedules  # noqa: F401, I001 - the order is the help's

__all__: list[str] = []
