"""``python -m lrstudy``: the same as the ``lrstudy`` command."""

import sys
from pathlib import Path

if not sys.flags.safe_path:
    # Python puts the current folder first. A ``timeit.py`` there must not replace Python's own, and a study's
    # folder must come before it: the commands add the two in this order, as they do for ``lrstudy``.
    current = sys.path.pop(0)
    if Path(__file__).parents[1] == Path(current):
        sys.path.append(current)  # lrstudy itself is imported from here

from lrstudy.cli import main

main()
