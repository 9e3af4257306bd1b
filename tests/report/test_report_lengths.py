"""A study of several lengths in the report: the sentence comes first, the table before all others."""

from __future__ import annotations

from dataclasses import replace

import report_samples as samples

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import ByLength, LengthVerdict, Summary
from lrstudy.report.sections.headline import headline, remarks
from lrstudy.report.sections.length_tables import length_sentence, length_table
from lrstudy.report.sections.page import study_page

NONE = Interval(None, None, None)
MEANS = (0.93, 0.96, 0.98)


def one(length: Interval, ratio: Interval, verdict: str, note: str = "") -> LengthVerdict:
    return LengthVerdict(MEANS, length, length.high == length.low, ratio, 0.01, verdict, note)


def verdicts() -> tuple[LengthVerdict, ...]:
    """One verdict for each schedule of the sample study, in their order."""
    return (
        one(Interval(14.2, 12.1, 16.9), Interval(1.7, 1.2, 2.3), "faster"),
        one(Interval(22.0, 19.0, None), Interval(1.1, 0.8, 1.5), "inconclusive"),
        one(Interval(24.1, 20.2, 29.8), NONE, "reference"),
        one(Interval(10.0, 10.0, 10.0), Interval(2.4, 2.0, 3.0), "faster", "It is fast."),
        LengthVerdict((0.9, 0.92, None), NONE, False, Interval(None, None, 0.8), 0.01, "never", ""),
    )


def study() -> Summary:
    found = ByLength("epochs", (10.0, 20.0, 40.0), "replicate", (verdicts(), verdicts()), 1)
    return replace(samples.study(), by_length=found, shorter_trials=30)


def test_the_headline_of_a_study_of_several_lengths_is_about_the_shortest_training():
    said = (
        "To end at 97% validation accuracy, of trainings of 10, 20 and 40 epochs, lipschitz (1.7×, 1.2 "
        "to 2.3) and step (2.4×, 2.0 to 3.0) need less training than fixed (24.1 epochs); "
        "lipschitz-tuned was inconclusive; cyclic did not get there."
    )
    assert headline(study()) == said
    assert length_sentence(samples.study()) == ""
    assert remarks(study())[0].startswith("In trainings of 40 epochs, lipschitz-tuned reached 97%")


def test_seeds_speak_of_these_configurations():
    found = study()
    tuned = tuple(replace(schedule, tuned=True) for schedule in found.schedules)
    seeds = replace(found, schedules=tuned, by_length=replace(found.by_length, unit="seed"))
    assert length_sentence(seeds).endswith("true of these configurations: another tuning might find others.")


def test_the_sentence_without_a_difference():
    found = study()
    none = tuple(
        replace(one, verdict="inconclusive") if one.verdict == "faster" else one for one in verdicts()
    )
    same = replace(found, by_length=replace(found.by_length, verdicts=(none, none)))
    assert "no schedule was shown to need more or less than fixed (24.1 epochs)" in length_sentence(same)


def test_the_table_has_the_lengths_the_ratios_and_the_means():
    (table,) = length_table(study())
    assert [group.title for group in table.groups] == [
        "validation accuracy 97% at the end",
        "validation accuracy 95% at the end",
    ]
    rows = {row[0].text: row for row in table.groups[0].rows}
    assert list(rows) == ["step", "lipschitz", "lipschitz-tuned", "fixed", "cyclic"]
    assert [cell.text for cell in rows["lipschitz"]] == [
        *("lipschitz", "▲ faster", "14.2", "1.7×", "93.00%", "96.00%", "98.00%"),
    ]
    assert rows["lipschitz"][2].range == "12.1 to 16.9"
    assert rows["lipschitz-tuned"][2].range == "19.0 to no limit"
    assert (rows["step"][2].text, rows["step"][2].range) == ("at most 10", "")
    assert [cell.text for cell in rows["cyclic"][1:4]] == ["∅ never", "more than 40", "–"]
    assert rows["cyclic"][3].range == "no limit to 0.8"
    assert "step at 97%: It is fast." in table.notes
    ledger = next(section for section in study_page(study()).sections if section.key == "ledger")
    assert ledger.intro[-1] == "It leaves out 30 trials of shorter trainings."
    assert study_page(study()).sections[0].tables[0] == table
    assert length_table(samples.study()) == ()
