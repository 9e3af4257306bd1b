"""Values at the end of the training in the report, on the terminal and in a comparison."""

from __future__ import annotations

import io
from dataclasses import replace

import report_samples as samples
from rich.console import Console

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.results import RunEnd
from lrstudy.cli.views.report import show_verdict
from lrstudy.report import compare, write_report
from lrstudy.report.sections.comparison_tables import comparison_page
from lrstudy.report.sections.end_tables import end_sentence, end_table
from lrstudy.report.sections.headline import conditions, headline, remarks
from lrstudy.report.sections.page import study_page
from lrstudy.report.sections.verdict_tables import verdict_table
from lrstudy.rules.metrics import METRICS

NONE = Interval(None, None, None)
SENTENCE = (
    "At the end, after 40 epochs, lipschitz (+0.10 points, 0.02 to 0.18) was better than fixed "
    "in validation accuracy; cyclic (−0.50 points, −0.58 to −0.42) was worse; step was "
    "equivalent; lipschitz-tuned was inconclusive."
)


def with_verdicts(*verdicts, **changes):
    """The study with these verdicts on the values at the end."""
    study = samples.study()
    values = [replace(one, verdict=word) for one, word in zip(study.end.values, verdicts, strict=True)]
    return replace(study, end=replace(study.end, values=tuple(values), **changes))


def printed(study):
    said = io.StringIO()
    show_verdict(Console(file=said, width=80, color_system=None), study)
    return said.getvalue()


def test_the_sentence_beside_the_headline_names_each_verdict_with_its_difference():
    assert end_sentence(samples.study()) == SENTENCE
    assert SENTENCE in remarks(samples.study())


def test_one_tuning_speaks_of_these_configurations_and_replicates_of_the_schedules():
    study = samples.study()
    tuned = replace(study, schedules=tuple(replace(s, tuned=True) for s in study.schedules))
    said = "That is true of these configurations: another tuning might find others."
    assert end_sentence(tuned) == f"{SENTENCE} {said}"
    assert end_sentence(replace(tuned, end=replace(tuned.end, unit="replicate"))) == SENTENCE


def test_the_sentence_where_nothing_differs_and_where_nothing_is_known():
    none = with_verdicts("inconclusive", "inconclusive", "reference", "inconclusive", "inconclusive")
    assert end_sentence(none) == (
        "At the end, after 40 epochs, no schedule was shown to differ from fixed in validation accuracy."
    )
    same = with_verdicts("equivalent", "unknown", "reference", "unknown", "unknown")
    assert end_sentence(same) == (
        "At the end, after 40 epochs, lipschitz was equivalent to fixed in validation accuracy."
    )
    for study in (
        with_verdicts("unknown", "unknown", "reference", "unknown", "unknown"),
        replace(samples.study(), end=None),
        samples.study(seeds=1),
        samples.alone(),
    ):
        assert end_sentence(study) == ""


def test_the_table_is_ordered_by_the_mean_and_shows_differences_in_points():
    (table,) = end_table(samples.study())
    (group,) = table.groups
    assert group.title == "validation accuracy after 40 epochs"
    assert [row[0].text for row in group.rows] == ["lipschitz-tuned", "lipschitz", "fixed", "step", "cyclic"]
    cells = {row[0].text: row[1:] for row in group.rows}
    assert [cell.text for cell in cells["cyclic"]] == ["▼ worse", "97.80%", "−0.50"]
    assert [cell.range for cell in cells["cyclic"]] == ["", "97.50 to 98.10%", "−0.58 to −0.42"]
    assert cells["fixed"][2].text == "–"
    assert any("within 0.5 points" in note for note in table.notes)
    assert table in study_page(samples.study()).sections[0].tables


def test_a_loss_is_ordered_from_below_and_has_no_points():
    study = replace(samples.study(), metric=METRICS["val_loss"])
    (table,) = end_table(study)
    assert table.groups[0].rows[0][0].text == "cyclic"
    assert table.columns[3].title == "difference to fixed"
    assert "(+0.0010, 0.0002 to" in end_sentence(study)


def test_runs_that_are_missing_at_the_end_are_counted_and_explained():
    study = samples.study()
    first, second, *rest = study.end.values
    lost = replace(first, diverged=3)
    early = replace(second, short=10, verdict="unknown", value=NONE, difference=NONE)
    (table,) = end_table(replace(study, end=replace(study.end, values=(lost, early, *rest))))
    rows = {row[0].text: row for row in table.groups[0].rows}
    assert rows["lipschitz"][1].range == "3 of 10 runs diverged"
    assert rows["lipschitz-tuned"][1].range == "10 of 10 runs ended before"
    assert [cell.text for cell in rows["lipschitz-tuned"][1:]] == ["– unknown", "–", "–"]
    assert any("worse than every other" in note for note in table.notes)
    assert any("stopped at their target or cut short" in note for note in table.notes)
    assert table.notes[0].startswith("The runs with a value trained for 40 epochs")


def test_the_terminal_shows_the_values_at_the_end_if_any_is_known():
    text = printed(samples.study())
    assert "val_accuracy after 40 epochs" in text
    assert "−0.50  −0.58 to −0.42  worse" in " ".join(text.split("\n")).replace("   ", "  ")
    unknown = replace(samples.study().end.values[0], pairs=0)
    none = replace(samples.study().end, values=(unknown,) * 5)
    assert "after 40 epochs" not in printed(replace(samples.study(), end=none))
    assert max(map(len, text.splitlines())) <= 80


def test_a_comparison_shows_the_differences_at_the_end():
    page = comparison_page(compare([samples.study("one"), replace(samples.study("two"), end=None)]))
    ends = page.sections[0].tables[2]
    assert ends.groups[0].title == "Value at the end against the reference"
    one, two = ([cell.text for cell in row] for row in ends.groups[0].rows)
    assert one[:2] == ["one", "validation accuracy, points"]
    assert one[2:] == ["+0.10", "+0.30", "−0.20", "−0.50"]  # no column for the reference
    assert two[2:] == ["–"] * 4
    assert ends.groups[0].rows[0][5].range == "worse"
    without = compare([replace(samples.study(), end=None)])
    assert len(comparison_page(without).sections[0].tables) == 2


def test_the_rule_of_arrival_is_named_once_and_is_a_note():
    study = replace(samples.study(), arrival="stay:3")
    assert "reached 97% validation accuracy for 3 evaluations in a row" in headline(study)
    single = replace(samples.study(seeds=1), arrival="stay:3")
    assert "a target counts as reached at the first of 3 evaluations in a row" in conditions(single)
    assert any("3 evaluations in a row are at it" in note for note in verdict_table(study).notes)
    assert not any("in a row" in said for said in conditions(samples.study()))
    assert any("first evaluation at it" in note for note in verdict_table(samples.study()).notes)
    assert "val_accuracy 0.97 for 3 evaluations in a row" in printed(study)


def test_the_values_of_all_runs_are_a_file_that_the_report_links_to(tmp_path):
    study = samples.study()
    runs = (RunEnd("fixed", 1, 7, "whole", 0.975), RunEnd("step", 2, 8, "diverged", None))
    written = write_report(replace(study, end=replace(study.end, runs=runs)), tmp_path)
    assert (tmp_path / "tables/end-values.csv").read_text(encoding="utf-8").split() == [
        "schedule,replicate,seed,outcome,val_accuracy",
        "fixed,1,7,whole,0.975",
        "step,2,8,diverged,",
    ]
    assert written.tables[-1] == tmp_path / "tables/end-values.csv"
    assert "(tables/end-values.csv)" in written.markdown.read_text(encoding="utf-8")
    write_report(study, tmp_path)
    assert not (tmp_path / "tables/end-values.csv").exists()
