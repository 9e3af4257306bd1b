"""One module for each command: it parses, the view of its name shows.

Importing this package registers the commands, in the order of the help.
"""

from lrstudy.cli.commands import init, validate, check, range_test, plan, run  # noqa: F401, I001 - the order is the help's
from lrstudy.cli.commands import status, watch, show, stop, resume, extend, rerun, report, submit, jobs  # noqa: F401 - as above
from lrstudy.cli.commands import compare, import_, query, export, publish  # noqa: F401 - as above
from lrstudy.cli.commands import data, tasks, schedules, schema, doctor  # noqa: F401 - as above

__all__: list[str] = []
