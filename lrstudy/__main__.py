"""``python -m lrstudy``: the same as the ``lrstudy`` command."""

import sys

if not sys.flags.safe_path:
    # Python puts the current folder first. A ``timeit.py`` there must not stand in for Python's own.
    sys.path.append(sys.path.pop(0))

from lrstudy.cli import main

main()
