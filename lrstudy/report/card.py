"""The page of a published store: what the study found, what is in the folder, how to read it."""

from __future__ import annotations

import json

from lrstudy.analysis.summary import Summary
from lrstudy.report.markdown import plain
from lrstudy.report.short import short_report

FIGURE = "time-to-target.png"


def card(summary: Summary, place: str, *, has_figure: bool) -> str:
    """Return the page as Markdown; its head declares the tables as Hugging Face's hub reads them.

    ``place`` is the folder as the command line names it.
    """
    head = [
        "---",
        f"pretty_name: {json.dumps(summary.name)}",
        "tags: [learning-rate-schedules, lrstudy]",
        "configs:",
        *(
            f"- {{config_name: {table}, data_files: {table}/*.parquet}}"
            for table in ("evaluations", "trials")
        ),
        "---",
        "",
    ]
    facts = [f"- **{plain(name)}**: {plain(value)}" for name, value in summary.facts]
    reading = [
        "## How to read it",
        "",
        "A store of lrstudy: a row for each trial and for each evaluation, as Parquet.",
        "",
        "```sh",
        f"lrstudy report {place} --out report",
        "```",
        "",
        "## Provenance",
        "",
        *facts,
    ]
    short = short_report(summary, place, FIGURE if has_figure else "")
    return "\n".join([*head, short, *reading]) + "\n"
