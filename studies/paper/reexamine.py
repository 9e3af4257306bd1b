"""The paper's recorded runs, examined again: Table 1, epochs to targets, and the rates that were really used.

    python studies/paper/reexamine.py HISTORIES.csv [--out reports/paper] [--runs FOLDER]

Purpose:  what the authors' own 16 runs show, and what they do not (report.md, figures, summary.json)
Data:     their histories as one CSV file: dataset, model, optimizer, schedule, variant, epoch, lr,
          train_loss, train_acc, val_loss, val_acc (not part of this repository)
Hardware: any; about ten seconds on one core

The histories become stores by lrstudy's import (kept with --runs, else thrown away), the first epochs at each
level are its analysis's, and the figures are drawn as its reports' are.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from reexamined.figures import draw
from reexamined.numbers import read_numbers
from reexamined.text import report, summary

from lrstudy.errors import LrStudyError

COMMAND = "python studies/paper/reexamine.py HISTORIES.csv"


def main(arguments: list[str] | None = None) -> int:
    """Write the report; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("histories", type=Path, metavar="HISTORIES.csv")
    parser.add_argument("--out", type=Path, default=Path("reports/paper"), help="folder of the report")
    parser.add_argument("--runs", type=Path, help="keep the imported stores in this folder")
    asked = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            numbers = read_numbers(asked.histories, asked.runs or Path(folder))
    except LrStudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    figures = asked.out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for name, content in draw(numbers).items():
        (figures / name).write_bytes(content)
    (asked.out / "report.md").write_text(report(numbers, COMMAND), encoding="utf-8")
    (asked.out / "summary.json").write_text(summary(numbers), encoding="utf-8")
    print(f"report: {asked.out / 'report.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
