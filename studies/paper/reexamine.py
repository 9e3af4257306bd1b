"""The paper's recorded runs, examined again: printed values, epochs to levels, the rates really used.

    python studies/paper/reexamine.py HISTORIES.csv [--out reports/paper] [--runs FOLDER]

Purpose:  what the authors' own 35 runs show, and what they do not (recorded-runs.md, figures, summary.json)
Data:     their histories as one CSV file: dataset, model, optimizer, schedule, variant, epoch, lr,
          train_loss, train_acc, val_loss, val_acc (not part of this repository)
Hardware: any; about half a minute on one core

The histories become stores by lrstudy's import (kept with --runs, else removed), the first epochs at each
level are its analysis's, and the figures are drawn as its reports' are. summary.json is read by
studies/paper_claims.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from reexamined.figures import draw
from reexamined.numbers import read_numbers
from reexamined.summary import summary
from reexamined.text import page

from lrstudy.errors import LrStudyError

COMMAND = "python studies/paper/reexamine.py HISTORIES.csv"


def main(arguments: list[str] | None = None) -> int:
    """Write the page; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("histories", type=Path, metavar="HISTORIES.csv")
    parser.add_argument("--out", type=Path, default=Path("reports/paper"), help="folder of the page")
    parser.add_argument("--runs", type=Path, help="keep the imported stores in this folder")
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            numbers = read_numbers(given.histories, given.runs or Path(folder))
    except LrStudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    figures = given.out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for name, content in draw(numbers).items():
        (figures / name).write_bytes(content)
    (given.out / "recorded-runs.md").write_text(page(numbers, COMMAND), encoding="utf-8")
    (given.out / "summary.json").write_text(summary(numbers), encoding="utf-8")
    print(f"page: {given.out / 'recorded-runs.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
