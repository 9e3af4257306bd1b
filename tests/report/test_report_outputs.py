"""Where a result goes: figures and tables for a paper, a short report, a notebook."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import report_samples as samples
from matplotlib.figure import Figure as Canvas
from report_samples import HOSTILE

from lrstudy.analysis.summary import Summary
from lrstudy.errors import InputError
from lrstudy.report import write_report
from lrstudy.report.figures.model import Estimate, Table
from lrstudy.report.latex import escaped, latex
from lrstudy.report.notebook import Picture, Plots, Study
from lrstudy.report.page_model import Cell, Column, Group, NumberTable, Page, Section
from lrstudy.report.plotly_data import csv_text
from lrstudy.report.sections.page import study_page
from lrstudy.report.short import short_figure, short_report
from lrstudy.report.text import params, share_interval
from lrstudy.report.writing import Printed
from lrstudy.rules.metrics import METRICS

POINT = 72  # to the inch


def write(folder: Path) -> None:
    """Write the report of two figures with every further format: drawing all of them takes long."""

    def two_figures(summary: Summary, made_at: datetime | None) -> Page:
        page = study_page(summary, made_at)
        figures = tuple(figure for figure in page.figures if figure.key in ("speedup", "time-to-target"))
        return replace(page, sections=(page.sections[0], Section("two", "Two figures", figures=figures)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrstudy.report.writing.study_page", two_figures)
        write_report(samples.study(), folder, printed=Printed(("svg", "pdf", "tex"), 85.0))


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("printed")
    write(folder)
    return folder


def test_figures_for_a_paper_have_the_width_of_its_column(printed):
    for file in (printed / "figures").glob("*.svg"):
        width = ElementTree.parse(file).getroot().attrib["width"]
        assert float(width.removesuffix("pt")) == pytest.approx(85 / 25.4 * POINT, abs=0.01), file
    boxes = [
        re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", file.read_bytes())[1]
        for file in (printed / "figures").glob("*.pdf")
    ]
    assert len(boxes) == 2
    assert {round(float(box) / POINT * 25.4) for box in boxes} == {85}


def test_fonts_are_in_the_files_and_no_date_is(printed):
    pdf = (printed / "figures" / "speedup.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType, embedded
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    svg = (printed / "figures" / "speedup.svg").read_text()
    assert "<text" not in svg  # letters are outlines
    assert "<dc:date>" not in svg


def test_the_same_study_gives_the_same_files(printed, tmp_path):
    write(tmp_path)
    for file in sorted(printed.rglob("*.*")):
        assert file.read_bytes() == (tmp_path / file.relative_to(printed)).read_bytes(), file


def test_a_table_in_latex_has_the_numbers_of_the_report(printed):
    text = (printed / "tables" / "verdicts.tex").read_text()
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert body[0] == r"\begin{tabular}{llrrrrrrr}"
    assert body[-1] == r"\end{tabular}"
    rows = [line for line in body if line.startswith("lipschitz-tuned &")]
    assert len(rows) == 2
    assert "faster" in rows[1]
    assert r"1.83$\times$ (1.47 to 2.20)" in " ".join(rows)
    assert all(line.count("&") == 8 for line in body if line.endswith(r"\\") and "multicolumn" not in line)
    assert body.count(r"\midrule") == 2
    assert "% Ranges in parentheses are 95% intervals." in text.splitlines()


def test_what_latex_would_read_as_markup_is_escaped():
    table = NumberTable(
        "T", (Column("a_b", number=False), Column("x")), (Group("50%", ((Cell(HOSTILE), Cell("[1]")),)),)
    )
    text = latex(table)
    assert r"a\_b & x \\" in text
    assert r"\textbf{50\%}" in text
    assert "{[1]}" in text  # not the argument of the line break before it
    assert escaped("\\input{/etc/passwd} & #1 ~^$") == (
        r"\textbackslash{}input\{/etc/passwd\} \& \#1 \textasciitilde{}\textasciicircum{}\$"
    )
    assert escaped("two\nlines") == "two lines"


def test_a_column_of_dashes_is_not_shown():
    rows = ((Cell("a"), Cell("–"), Cell("1")), (Cell("b"), Cell("–"), Cell("–")))
    table = NumberTable("T", (Column("n"), Column("none"), Column("some")), (Group("", rows),))
    kept = table.without_empty_columns()
    assert [column.title for column in kept.columns] == ["n", "some"]
    assert [[cell.text for cell in row] for row in kept.groups[0].rows] == [["a", "1"], ["b", "–"]]


def test_an_interval_of_an_accuracy_ends_at_100_percent():
    assert share_interval(METRICS["val_accuracy"], 0.97, 1.02) == "97.0 to 100.0%"
    assert share_interval(METRICS["val_accuracy"], -0.01, 0.2) == "0 to 20%"


def test_the_short_report_fits_a_pull_request():
    text = short_report(samples.study(), "runs/digits", "speed.png")
    lines = text.splitlines()
    assert lines[0] == "### digits"
    assert lines[2].startswith("**In trainings of 40 epochs, lipschitz-tuned reached 97%")
    assert len([line for line in lines if line.startswith("|")]) == 2 + 5
    assert "](speed.png)" in text
    assert len(lines) < 25
    embedded = short_report(samples.study(), "runs/digits")
    picture = base64.b64decode(re.search(r"base64,([\w+/=]+)\)", embedded)[1])
    assert picture == short_figure(samples.study())
    assert picture.startswith(b"\x89PNG")


def test_a_study_in_a_notebook_shows_its_ruling_and_tables():
    study = Study(None, replace(samples.study(), name="<b>digits</b>"))
    shown = study._repr_html_()
    assert study.headline.split(" (")[0] in shown
    assert shown.count("<table") == 2
    assert "<script" not in shown
    assert study.tables()["verdicts"].columns[0].title == "schedule"


def test_a_study_of_hostile_names_shows_them_as_text():
    names = dict.fromkeys(["step"], "</table><script>alert(1)</script>")
    shown = Study(None, samples.renamed(samples.study(), names))._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown


def test_every_figure_of_the_report_is_a_picture_in_a_notebook(tmp_path):
    plots = Plots(samples.study())
    for name in (name for name in vars(Plots) if not name.startswith("_")):
        picture = getattr(plots, name)()
        assert isinstance(picture, Picture)
        assert picture.data.panels, name
    assert plots.time_to_target()._repr_png_().startswith(b"\x89PNG")
    assert isinstance(plots.speedup().matplotlib(85), Canvas)
    assert plots.speedup().save(tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(InputError, match=r"no suffix of a picture"):
        plots.speedup().save(tmp_path / "a.docx")
    empty = Plots(samples.running()).time_to_target()
    assert empty.data.panels or empty._repr_png_() is None


def test_every_figure_of_the_report_is_a_figure_of_plotly_in_a_notebook():
    hostile = "<b>step</b>"
    study = samples.renamed(samples.study(), {"step": hostile})
    plots = Plots(study)
    for name in (name for name in vars(Plots) if not name.startswith("_")):
        data = getattr(plots, name)().data
        made = getattr(plots, name)().plotly()
        assert len(list(made.select_xaxes())) == len(data.panels), name
        drawn = {mark.schedule for panel in data.panels for mark in panel.marks if hasattr(mark, "schedule")}
        keys = [trace.name for trace in made.data if trace.showlegend]
        assert len(keys) == len(set(keys)), name
        assert len(keys) <= len(drawn), name
        assert hostile not in made.to_json(), name
    speedup = plots.speedup()
    assert {trace.y[0] for trace in speedup.plotly().data} == set(study.names) - {"fixed"}
    assert speedup.plotly().layout.shapes  # the margin and the line at 1
    values = [mark.value for mark in speedup.data.panels[0].marks if isinstance(mark, Estimate)]
    shown = [trace.x[0] for trace in speedup.plotly().data if trace.showlegend]
    assert shown == pytest.approx(values[: len(shown)], rel=1e-4)
    curves = plots.learning_curves()
    assert next(curves.plotly("steps").select_xaxes()).title.text == "optimizer steps"
    with pytest.raises(InputError, match="no way to count time in it"):
        curves.plotly("stepps")


def test_bands_of_shares_end_at_one():
    study = samples.study()
    curve = study.schedules[0].curves["val_accuracy"]
    wide = replace(curve, high=tuple(None if end is None else end + 1 for end in curve.high))
    first = replace(study.schedules[0], curves={**study.schedules[0].curves, "val_accuracy": wide})
    figure = Plots(replace(study, schedules=(first, *study.schedules[1:]))).learning_curves().data
    ends = [
        end for points in figure.panels[0].marks[0].points.values() for end in points.high if end is not None
    ]
    assert max(ends) == 1.0


def test_a_table_holds_no_formula_of_a_spreadsheet():
    text = csv_text(Table(("name", "value"), (("=cmd|' /C calc'!A0", -1.5), ("@a", float("-inf")))))
    assert text == "name,value\r\n'=cmd|' /C calc'!A0,-1.5\r\n'@a,-infinity\r\n"


def test_the_part_of_a_path_that_told_schedules_apart_is_no_parameter():
    assert params({"path:2": "cosine", "{schedule}-{seed}.csv": "a", "lr": 0.1}) == "lr = 0.1"
    assert params({"path:2": "cosine"}) == "none"
