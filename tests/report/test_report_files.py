"""The files of a report: which there are, what they hold, that they are the same each time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import report_samples as samples
from report_samples import HOSTILE

from lrstudy.analysis.summary import NextStep
from lrstudy.errors import InputError
from lrstudy.report import write_report

NAMES = {
    "lipschitz": HOSTILE,
    "fixed": 'a "quoted" | name',
    "step": "</script><b>step</b>",
    "cyclic": "${7*7} *x*",
}

STALE = ("figures/speedup.svg", "figures/speedup.pdf", "tables/verdicts.tex")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    study = samples.renamed(samples.study(name=HOSTILE), NAMES)
    study = replace(study, warnings=(f"{HOSTILE}: look",), facts=(("host", HOSTILE),), spec=f'"{HOSTILE}```"')
    return write_report(study, tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    for name in STALE:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("of an earlier report")
    return write_report(samples.study(), folder)


def test_everything_is_there(written):
    keys = [
        "learning-curves",
        "time-to-target",
        "speedup",
        "speedup-by-target",
        "attainment",
        "learning-rates",
        "rate-sensitivity",
        "tuning",
    ]
    assert [path.stem for path in written.figures] == keys
    assert [path.stem for path in written.tables] == keys
    for path in (written.html, written.markdown, written.summary, *written.figures, *written.tables):
        assert path.stat().st_size > 0
    assert written.summary.read_text() == samples.study().to_json()


@pytest.mark.parametrize(
    ("run", "code", "markup"),
    [
        ("runs/digits", "`lrstudy extend runs/digits --most 16`", "lrstudy extend runs/digits --most 16"),
        ("runs/a`<b>*c*", "`` lrstudy extend 'runs/a`<b>*c*' --most 16 ``", "&#39;runs/a`&lt;b&gt;*c*&#39;"),
    ],
)
def test_the_command_of_the_next_step_is_code_and_nothing_else_is(run, code, markup, tmp_path):
    step = NextStep(("step",), "most", 16, 320, 9000.0, "epochs", {"step": 0.8})
    files = write_report(replace(samples.study(), next_step=step, run=run), tmp_path)
    assert f"To decide step: up to 16 tunings of each, {code} (at most" in files.markdown.read_text()
    (command,) = re.findall(r"<code>(.*?)</code>", files.html.read_text())
    assert markup in command


def test_no_file_of_an_earlier_report_stays_beside_the_new_numbers(written):
    assert not any((written.html.parent / name).exists() for name in STALE)


def test_same_study_gives_the_same_bytes(written, tmp_path):
    again = write_report(samples.study(), tmp_path)
    for one, other in zip(
        [written.html, written.markdown, *written.figures, *written.tables],
        [again.html, again.markdown, *again.figures, *again.tables],
        strict=True,
    ):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_a_date_stands_only_where_it_is_given_and_only_in_one_line(written, tmp_path):
    dated = write_report(samples.study(), tmp_path, made_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    for plain, with_date in ((written.html, dated.html), (written.markdown, dated.markdown)):
        before, after = plain.read_text().splitlines(), with_date.read_text().splitlines()
        different = [new for old, new in zip(before, after, strict=True) if old != new]
        assert len(different) == 1
        assert "2026-01-02 03:04 UTC" in different[0]


def test_page_holds_plotly_once_and_stays_small(written):
    page = written.html.read_text()
    assert page.count("plotly.js v") == 1
    assert len(page.encode()) < 6_000_000
    assert not re.search(r"<(script|link|img)[^>]*\s(src|href)=[\"']?https?:", page)


def test_page_forbids_every_source_but_its_own_scripts(written):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written.html.read_text())[1]
    rules = dict(rule.split(maxsplit=1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"('sha256-[\w+/=]+' ?){3}", rules["script-src"])


def test_large_study_stays_below_six_megabytes(tmp_path):
    study = samples.large(schedules=12, epochs=300, trials=2000)
    page = write_report(study, tmp_path).html
    assert page.stat().st_size < 6_000_000


def test_hostile_names_are_text_in_the_page(hostile):
    page = hostile.html.read_text()
    own = page.replace(_bundle(page), "")
    assert "<img" not in own
    assert "<b>step" not in own
    assert "&lt;img src=x onerror=alert(1)&gt;" in own
    data = json.loads(re.search(r'id="report-data">(.*?)</script>', own, re.DOTALL)[1])
    assert data["schedules"][0]["name"] == HOSTILE


def _bundle(page: str) -> str:
    return max(re.findall(r"<script>(.*?)</script>", page, re.DOTALL), key=len)


def test_hostile_names_are_text_in_markdown(hostile):
    text = hostile.markdown.read_text()
    outside = re.sub(r"^(`{3,})json\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "<img" not in outside
    assert "<b>" not in outside
    assert 'a "quoted" \\| name' in outside
    assert "&#36;{7\\*7} \\*x\\*" in outside
    assert "````json" in text


def test_csv_table_reads_back(written):
    import csv

    (path,) = [path for path in written.tables if path.stem == "speedup"]
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows[:4]] == ["faster", "faster", "equivalent", "slower"]
    assert float(rows[1]["speedup"]) == 2.0


def test_figure_that_is_gone_leaves_no_old_picture(tmp_path):
    write_report(samples.study(), tmp_path)
    mine = tmp_path / "figures" / "mine.png"
    mine.write_bytes(b"mine")
    write_report(samples.running(), tmp_path)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "mine.png",
        "rate-sensitivity.png",
    ]
    assert not (tmp_path / "tables" / "speedup.csv").exists()


def test_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    file = tmp_path / "taken"
    file.write_text("a file")
    with pytest.raises(InputError, match="cannot be written") as caught:
        write_report(samples.study(), file)
    assert caught.value.problems[0].where == str(file)


@pytest.mark.parametrize("made", [samples.running, samples.diverged, samples.alone, samples.unreached])
def test_unfinished_or_odd_studies_are_written_too(made, tmp_path):
    paths = write_report(made(), tmp_path)
    assert paths.html.exists()
    text = paths.markdown.read_text()
    for figure in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (tmp_path / figure).exists()
