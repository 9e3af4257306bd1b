"""Tables of a report as LaTeX, in the style of the package booktabs, for a paper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lrstudy.report.page_model import Cell, NumberTable

_ESCAPES: Final = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    # What the report's words use beyond ASCII, for engines and fonts that lack it.
    "×": r"$\times$",
    "−": r"$-$",
    "–": "--",
    "…": r"\dots{}",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "·": r"$\cdot$",
    "∞": r"$\infty$",
}


# Words of the notes on a screen that are another thing here.
_RANGES: Final = ("Second lines of numbers are", "Ranges in parentheses are")


def latex(table: NumberTable) -> str:
    r"""Return a table as a ``tabular`` for ``\input``, with its notes as comments; it needs booktabs.

    Groups of rows have their title above them. A second line of a cell is set in parentheses.
    """
    columns = "".join("r" if column.number else "l" for column in table.columns)
    lines = [
        *(f"% {' '.join(note.replace(*_RANGES).split())}" for note in table.notes),
        r"% needs \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        f"{' & '.join(escaped(column.title) for column in table.columns)} \\\\",
        *_rows(table),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _rows(table: NumberTable) -> Iterator[str]:
    for group in table.groups:
        yield r"\midrule"
        if group.title:
            yield rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\textbf{{{escaped(group.title)}}}}} \\"
        for row in group.rows:
            yield f"{' & '.join(map(_cell, row))} \\\\"


def _cell(cell: Cell) -> str:
    text = escaped(cell.verdict or cell.text)  # without the mark that a verdict has on a screen
    # A bracket at the beginning of a row would be read as the argument of the line break before it.
    text = f"{{{text}}}" if text.startswith("[") else text
    return f"{text} ({escaped(cell.range)})" if cell.range else text


def escaped(text: str) -> str:
    r"""Return a text that LaTeX sets as it is, on one line.

    >>> print(escaped("50% of $a_b$"))
    50\% of \$a\_b\$
    """
    return "".join(_ESCAPES.get(letter, letter) for letter in " ".join(text.split()))
