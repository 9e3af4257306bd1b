"""One module per command; importing this package registers them all, in the order of the help."""

from lrstudy.cli.commands import init, validate, range_test, plan, run  # noqa: F401, I001 - the order is the help's
from lrstudy.cli.commands import status, stop, resume, rerun, report, submit, jobs  # noqa: F401 - as above
from lrstudy.cli.commands import compare, import_, query, export  # noqa: F401 - as above
from lrstudy.cli.commands import data, tasks, schedules, schema, doctor  # noqa: F401 - as above

__all__: list[str] = []
