"""The report in a screen of Markdown, for a pull request: the ruling, what is next, a table and a figure."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from lrstudy.analysis.summary import Summary
from lrstudy.report.figures.model import Figure
from lrstudy.report.figures.time_to_target import time_to_target
from lrstudy.report.markdown import plain
from lrstudy.report.matplotlib_renderer import draw_png
from lrstudy.report.sections.headline import headline
from lrstudy.report.sections.next_step_words import next_step_sentence
from lrstudy.report.sections.verdict_tables import SIGNS
from lrstudy.report.style import looks
from lrstudy.report.text import interval, level, metric_words, number, shown_time, time_words


def short_report(summary: Summary, run: str, picture: str | None = None) -> str:
    """Return the ruling, the table of the primary target and one figure as Markdown.

    ``run`` is the run as the command line names it, ``picture`` the address of the figure's file
    (``short_figure``), empty for no figure; without one the figure is inside the text, as a data URI.
    """
    lines = [f"### {plain(summary.name)}", "", f"**{plain(headline(summary))}**", ""]
    if step := next_step_sentence(summary, run):
        lines += [plain(step), ""]
    lines += _table(summary)
    figure = time_to_target(summary)
    if figure.panels and picture != "":
        address = picture
        if address is None:
            address = f"data:image/png;base64,{base64.b64encode(short_figure(summary)).decode()}"
        lines += [f"![{plain(figure.title)}]({address})", ""]
    lines += [f"- {plain(warning)}" for warning in summary.warnings[:3]]
    if len(summary.warnings) > 3:
        lines.append(f"- … and {len(summary.warnings) - 3} more warnings in the report")
    return "\n".join(lines).rstrip() + "\n"


def short_figure(summary: Summary) -> bytes:
    """Return the figure of the short report as a PNG file's bytes; empty if there is nothing to draw."""
    figure: Figure = time_to_target(summary)
    if not figure.panels:
        return b""
    return draw_png(figure, summary.names, looks(summary.names, summary.reference))


def _table(summary: Summary) -> Iterator[str]:
    if summary.primary is None:
        return
    goal = f"{level(summary.metric, summary.targets[summary.primary])} {metric_words(summary.metric)}"
    clock = time_words(summary.clock)
    yield f"| to {plain(goal)} | verdict | times as fast | interval | runs | mean {clock} |"
    yield "| :-- | :-- | --: | --: | --: | --: |"
    for schedule in summary.schedules:
        reach = schedule.reach[summary.primary]
        found = reach.judged
        cells = (
            schedule.name,
            SIGNS.get(reach.verdict, reach.verdict) if reach.runs else "no run yet",
            number(found.value, found.low, found.high),
            interval(found.low, found.high),
            f"{reach.hits} of {reach.runs}",
            shown_time(summary.clock, reach.mean_time.value),
        )
        yield f"| {' | '.join(map(plain, cells))} |"
    yield ""
