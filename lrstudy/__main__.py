"""``python -m lrstudy``: the same as the ``lrstudy`` command."""

from lrstudy.cli import main

main()
