"""A report in another clock than epochs says so everywhere, and formats declared metrics plainly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import report_samples as samples

from lrstudy.analysis.summary import Curve, Steps, Summary
from lrstudy.report.comparison import compare
from lrstudy.report.figures.model import TIMES
from lrstudy.report.markdown import markdown
from lrstudy.report.plotly_data import payload
from lrstudy.report.sections.comparison_tables import times_table
from lrstudy.report.sections.headline import headline
from lrstudy.report.sections.page import study_page
from lrstudy.report.style import looks
from lrstudy.report.text import level, metric_title, metric_words, share
from lrstudy.rules.clocks import CLOCKS
from lrstudy.rules.metrics import declared_metrics
from lrstudy.spec.json_schema import study_schema

SCALE = {"steps": 36, "samples": 1152, "tokens": 1_000_000, "seconds": 0.25}


def in_clock(clock: str, found: Summary | None = None) -> Summary:
    """The made-up study with all of its times in another clock, which is then the trials' own too."""
    found = found or samples.study()
    scale = SCALE[clock]

    def scaled(curve: Curve) -> Curve:
        return replace(curve, times={clock: tuple(at * scale for at in curve.times["epochs"])})

    def stepped(steps: Steps) -> Steps:
        return replace(steps, times=tuple(at * scale for at in steps.times))

    schedules = tuple(
        replace(
            schedule,
            curves={name: scaled(curve) for name, curve in schedule.curves.items()},
            reach=tuple(
                replace(way, shares={clock: stepped(way.shares["epochs"])} if way.shares else {})
                for way in schedule.reach
            ),
            price=replace(
                schedule.price,
                tune=replace(schedule.price.tune, epochs=None),
                confirm=replace(schedule.price.confirm, epochs=None),
            ),
        )
        for schedule in found.schedules
    )
    length = samples.EPOCHS * scale
    return replace(
        found,
        schedules=schedules,
        clock=clock,
        length=length,
        end=None if found.end is None else replace(found.end, clock="steps", length=1440),
        trial_clock="steps",
        trial_length=1440,
        moment="evaluation",
    )


def test_every_clock_can_be_asked_for_and_drawn() -> None:
    assert set(TIMES) == set(CLOCKS)
    assert set(study_schema()["properties"]["target"]["properties"]["clock"]["enum"]) == set(CLOCKS)


@pytest.mark.parametrize("clock", SCALE)
def test_no_sentence_axis_or_table_speaks_of_epochs(clock: str) -> None:
    page = study_page(in_clock(clock))
    text = markdown(page)
    assert "epoch" not in text.lower()
    axes = {panel.x.title for figure in page.figures for panel in figure.panels if panel.x.time}
    assert axes == {clock}
    for figure in page.figures:
        assert not any("epoch" in column for column in figure.table.columns), figure.key


def test_the_page_opens_with_the_clock_of_the_verdicts() -> None:
    study = samples.study()
    figures = study_page(replace(study, clock="steps")).figures
    data = payload(figures, study.names, looks(study.names, study.reference))
    assert (data["time"], list(data["times"])) == ("steps", ["steps", "epochs", "seconds"])
    assert (
        payload(study_page(study).figures, study.names, looks(study.names, study.reference))["time"]
        == "epochs"
    )


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ("steps", "within 1,440 steps"),
        ("samples", "within 46,080 samples"),
        ("tokens", "within 40M tokens"),
        ("seconds", "within 10 s of training"),
    ],
)
def test_the_headline_counts_in_the_clock(clock: str, words: str) -> None:
    assert words in headline(in_clock(clock, samples.unreached()))


def test_a_verdict_in_seconds_has_no_second_column_of_training_time() -> None:
    (table, *_) = study_page(in_clock("seconds")).sections[0].tables
    names = [column.title for column in table.columns]
    assert "times as fast as fixed, in training time" in names
    assert len(names) == 7
    assert {len(row) for group in table.groups for row in group.rows} == {7}


def test_studies_in_different_clocks_are_compared_each_in_its_own() -> None:
    compared = compare([samples.study(), replace(in_clock("steps"), name="words")])
    table = times_table(compared)
    assert table.groups[0].title == "Expected time to the target (ERT)"
    first, second = (row[2].text for row in table.groups[0].rows)
    assert first.startswith("8.3 epochs")
    assert second.startswith("8 steps")


def test_only_shares_of_examples_are_in_percent() -> None:
    bounded = {"goal": "max", "low": 0, "high": 1}
    known = declared_metrics(
        {"val_acc": bounded, "val_top_5": bounded, "val_f1": bounded, "perplexity": "min", "bits": "min"}
    )
    assert [name for name, metric in known.items() if metric.is_share] == ["val_acc", "val_top_5"]
    assert not declared_metrics({"accuracy": "max"})["accuracy"].is_share  # its values may be 0 to 100
    assert level(known["val_f1"], 0.9) == "0.9"
    assert level(known["val_acc"], 0.9) == "90%"
    assert share(known["perplexity"], 23.456, 22.9, 24.0) == "23.5"
    assert share(known["bits"], 1.4321, 1.42, 1.44) == "1.432"
    assert (metric_words(known["perplexity"]), metric_title(known["val_f1"])) == ("perplexity", "val_f1")
    assert metric_title(declared_metrics({"val_loss": "min"})["val_loss"]) == "Validation loss"
