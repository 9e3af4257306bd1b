"""The sentences of a report are computed from its numbers, and say plainly what cannot be said."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import report_samples as samples
from rich.console import Console

from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import NextStep, Summary
from lrstudy.cli.views.report import show_verdict
from lrstudy.report.sections.explanation import explanation
from lrstudy.report.sections.headline import conditions, headline, remarks
from lrstudy.report.sections.page import study_page
from lrstudy.rules.metrics import METRICS


def changed(study, name, place, **values):
    """The study with another way of one schedule to one target."""
    schedules = [
        replace(
            s,
            reach=tuple(replace(way, **values) if at == place else way for at, way in enumerate(s.reach)),
        )
        if s.name == name
        else s
        for s in study.schedules
    ]
    return replace(study, schedules=tuple(schedules))


def test_headline_is_about_the_hardest_target_and_names_ratio_and_interval():
    assert headline(samples.study()) == (
        "In trainings of 40 epochs, lipschitz-tuned reached 97% validation accuracy 1.83 times as fast as "
        "fixed (1.47 to 2.20, over 10 seeds); lipschitz and step were inconclusive; cyclic "
        "never reached it."
    )


def test_easier_targets_stand_beside_the_headline():
    first = remarks(samples.study())[0]
    assert first == (
        "lipschitz-tuned (2.00×, 1.60 to 2.40) and lipschitz (1.50×, 1.20 to 1.80) reached 95% validation "
        "accuracy faster than fixed (intervals over 10 seeds); cyclic (0.67×, 0.53 to 0.80) was slower; "
        "step was equivalent."
    )


def test_headline_follows_the_verdict_not_the_ratio():
    study = changed(samples.study(), "lipschitz-tuned", 1, verdict="slower", speedup=Interval(0.5, 0.4, 0.6))
    assert "lipschitz-tuned reached 97% validation accuracy 0.50 times as fast as fixed" in headline(study)


def test_smaller_is_better_turns_the_hardest_target_around():
    study = replace(samples.study(), metric=METRICS["val_loss"], targets=(0.3, 0.2))
    assert "reached 0.2 validation loss" in headline(study)


@pytest.mark.parametrize(
    ("study", "words"),
    [
        (samples.running(), "No verdict yet: 13 tuning trials ended"),
        (samples.diverged(), "No schedule reached 97% validation accuracy within 40 epochs (115 of all"),
        (samples.unreached(), "No schedule reached 97% validation accuracy within 40 epochs"),
        (samples.alone(), "it is the only schedule, so there is nothing to compare it with"),
        (samples.study(seeds=1), "too few runs for a verdict"),
        (
            replace(samples.study(), complete=False),
            "So far: In trainings of 40 epochs, lipschitz-tuned reached",
        ),
    ],
)
def test_headline_when_there_is_no_full_verdict(study, words):
    assert words in headline(study)


def test_one_run_per_schedule_says_that_no_interval_can_be_given():
    assert any("no interval can be given" in sentence for sentence in remarks(samples.study(seeds=1)))


@pytest.mark.parametrize(
    "study",
    [
        samples.study(),
        samples.study(seeds=1),
        samples.running(),
        samples.diverged(),
        samples.alone(),
        samples.unreached(),
    ],
)
def test_no_figure_is_empty_without_a_sentence(study):
    for figure in study_page(study).figures:
        assert figure.takeaway.endswith(".")
        assert "None" not in figure.takeaway
        assert "nan" not in figure.takeaway.lower().split()
        for panel in figure.panels:
            drawn = [m for m in panel.marks if hasattr(m, "points") or getattr(m, "text", "")]
            assert drawn, (figure.key, panel.title)


def no_reference_runs():
    """A running study whose reference has not been confirmed yet."""
    full, nothing = samples.study(), samples.running()
    schedules = [
        replace(s, reach=nothing.schedules[2].reach, curves={}, confirm_trials=0) if s.name == "fixed" else s
        for s in full.schedules
    ]
    return replace(full, schedules=tuple(schedules), complete=False)


def test_without_runs_of_the_reference_nothing_is_called_faster():
    study = no_reference_runs()
    assert headline(study).endswith(
        "reached 97% validation accuracy; the reference fixed has no confirm run to compare with."
    )
    assert not explanation(study)
    figures = {figure.key: figure for figure in study_page(study).figures}
    assert figures["speedup"].panels == ()
    assert "The reference fixed has no confirm run yet" in figures["speedup"].takeaway


def test_automatic_targets_that_cannot_be_derived_yet_are_said():
    study = no_reference_runs()
    study = replace(
        study, targets=(), priced=None, schedules=tuple(replace(s, reach=()) for s in study.schedules)
    )
    assert headline(study) == (
        "No verdict yet. There is no target yet: targets are derived from the confirm runs of fixed."
    )
    assert all(figure.takeaway for figure in study_page(study).figures)


def test_what_counts_is_the_runs_there_are_not_those_that_were_planned():
    study = replace(samples.study(seeds=1), seeds=10, complete=False)
    assert headline(study).startswith("So far: In one run each,")


def test_imported_histories_have_no_tuning_and_say_so():
    study = samples.study(seeds=1)
    bare = [replace(s, tune_trials=0, trials=(), best_of=None, price_of_target=None) for s in study.schedules]
    figures = {figure.key: figure for figure in study_page(replace(study, schedules=tuple(bare))).figures}
    for key in ("rate-sensitivity", "tuning"):
        assert figures[key].takeaway == "The store holds no tuning trials."
    assert figures["learning-rates"].takeaway.startswith("The rate of")


def test_no_trial_at_all():
    study = samples.running()
    study = replace(study, schedules=tuple(replace(s, tune_trials=0, trials=()) for s in study.schedules))
    assert headline(study) == "No verdict yet: no trial has ended."


def test_ratio_of_a_schedule_that_never_got_there_is_not_shown():
    study = changed(samples.study(), "cyclic", 1, speedup=Interval(0.28, 0.2, 0.3))
    (table, *_) = study_page(study).sections[0].tables
    assert table.groups[0].rows[-1][2].text == "–"
    forest = next(figure for figure in study_page(study).figures if figure.key == "speedup")
    row = next(mark for mark in forest.panels[1].marks if getattr(mark, "row", "") == "cyclic")
    assert (row.value, row.text) == (None, "no ratio: 0 of 10 runs reached it")


def test_takeaways_follow_the_numbers():
    study = replace(samples.study(), end=None)
    slow = replace(study, schedules=tuple(s for s in study.schedules if s.name in {"fixed", "cyclic"}))
    figures = {figure.key: figure for figure in study_page(slow).figures}
    assert figures["time-to-target"].takeaway == "Half of the runs of fixed reached 97% by epoch 11."
    assert figures["speedup"].takeaway == (
        "Against fixed, at 95%: cyclic slower; at 97%: cyclic never reached it."
    )
    assert figures["learning-curves"].takeaway == (
        "After epoch 40 fixed has the best mean validation accuracy, 98.3% (97.7 to 98.9%); "
        "cyclic follows with 97.8% (97.2 to 98.4%)."
    )


def test_verdict_table_puts_the_hardest_target_and_the_fastest_schedule_first():
    (table, *_) = study_page(samples.study()).sections[0].tables
    assert [group.title for group in table.groups] == ["validation accuracy 97%", "validation accuracy 95%"]
    first = table.groups[0].rows[0]
    assert [cell.text for cell in first] == [
        "lipschitz-tuned",
        "▲ faster",
        "1.83×",
        "1.83×",
        "10 of 10",
        "6.3",
        "6.0",
        "6.3",
        "0.126 s",
    ]
    assert table.groups[0].rows[-1][0].text == "cyclic"
    assert table.groups[0].rows[-1][7].text == "never"


def test_interval_clear_of_one_beside_an_inconclusive_verdict_is_explained():
    plain = samples.study()
    assert any("due to the luck of tuning" in sentence for sentence in explanation(plain))  # lipschitz at 97%
    wide = changed(plain, "lipschitz", 1, speedup=Interval(1.4, 0.9, 2.0))
    assert not any("due to the luck of tuning" in sentence for sentence in explanation(wide))


def test_time_that_nobody_measured_is_a_dash_and_not_never():
    study = changed(samples.study(), "fixed", 1, ert_seconds=None)
    (table, *_) = study_page(study).sections[0].tables
    last = {row[0].text: row[-1].text for row in table.groups[0].rows}
    assert (last["fixed"], last["cyclic"]) == ("–", "never")


def test_inconclusive_verdict_says_how_many_seeds_are_needed():
    (table, *_) = study_page(samples.study()).sections[0].tables
    row = next(row for row in table.groups[0].rows if row[0].text == "step")
    assert row[1].range == "about 24 seeds needed"


def decided_by(study: Summary, name: str) -> str:
    (table, *_) = study_page(study).sections[0].tables
    return next(row[1].range for row in table.groups[0].rows if row[0].text == name)


def with_tuned(study: Summary, *names: str) -> Summary:
    schedules = (replace(one, tuned=one.name in names) for one in study.schedules)
    return replace(study, schedules=tuple(schedules))


def test_the_luck_of_tuning_is_told_of_those_that_were_tuned_alone():
    held = changed(
        samples.study(),
        "lipschitz",
        1,
        verdict="inconclusive",
        given_winners="faster",
        speedup=Interval(1.4, 1.1, 2.0),
        speedup_tuned=Interval(1.4, 0.7, 2.9),
    )
    over = "faster as tuned (1.10 to 2.00); the tuning{} may have been lucky"
    assert decided_by(with_tuned(held, "fixed", "lipschitz"), "lipschitz") == over.format("")
    assert decided_by(with_tuned(held, "fixed", "step"), "lipschitz") == over.format(" of fixed")
    assert decided_by(with_tuned(held, "lipschitz"), "lipschitz") == over.format(" of lipschitz")


def test_verdict_that_seeds_cannot_decide_names_the_tuning_that_is_needed():
    open_ = changed(
        samples.study(),
        "step",
        1,
        verdict="inconclusive",
        given_winners="inconclusive",
        seeds_needed=None,
        speedup=Interval(1.1, 0.8, 1.6),
        speedup_tuned=Interval(1.1, 0.6, 2.1),
    )
    said = "more tuning{} needed, not more seeds"
    assert decided_by(with_tuned(open_, "fixed", "step"), "step") == said.format("")
    assert decided_by(with_tuned(open_, "fixed"), "step") == said.format(" of fixed")


def test_replicates_that_would_decide_are_named_where_there_are_several():
    replicates = {"verdict": "inconclusive", "replicates": 8, "seeds_needed": None}
    open_ = changed(samples.study(), "step", 1, **replicates, replicates_needed=21)
    assert decided_by(open_, "step") == "about 21 replicates needed"
    never = changed(samples.study(), "step", 1, **replicates)
    assert decided_by(never, "step") == ""


def test_where_winners_were_tuned_more_tunings_are_needed_and_not_seeds():
    open_ = changed(samples.study(), "step", 1, seeds_needed=None, replicates_needed=12)
    tuned = with_tuned(open_, "step")
    assert decided_by(tuned, "step") == "about 12 tunings needed"
    notes = study_page(tuned).sections[0].tables[0].notes
    assert any("More confirm seeds alone do not" in note for note in notes)


def test_with_replicates_the_sentences_count_tunings_and_not_pairs_of_runs():
    study = with_tuned(replicated(samples.study()), "fixed", "step", "cyclic", "lipschitz-tuned")
    assert "(1.47 to 2.20, over 8 tunings)" in headline(study)
    said = " ".join([headline(study), *remarks(study), *explanation(study)])
    assert "8 replicates of the study" in said
    assert "paired seed" not in said
    figure = next(figure for figure in study_page(study).figures if figure.key == "speedup")
    assert "over replicates" in figure.reading


def replicated(study: Summary) -> Summary:
    """The study with eight replicates of every schedule."""
    schedules = (
        replace(s, reach=tuple(replace(way, replicates=8) for way in s.reach)) for s in study.schedules
    )
    return replace(study, schedules=tuple(schedules))


def test_schedules_decided_after_different_numbers_of_tunings_name_the_range():
    study = with_tuned(replicated(samples.study()), "fixed", "step", "cyclic", "lipschitz-tuned")
    study = changed(study, "step", 1, verdict="faster", replicates=32)
    assert "faster than fixed (intervals over 8 to 32 tunings)" in headline(study)


def test_the_conditions_name_the_fewest_and_the_most_tunings():
    study = replicated(samples.study())
    winners = {"fixed": 8, "step": 4, "cyclic": 8, "lipschitz-tuned": 4}
    schedules = [
        replace(s, tune_trials=10 * winners[s.name], winners=({"lr": 0.1},) * winners[s.name])
        if s.name in winners
        else s
        for s in study.schedules
    ]
    told = " ".join(conditions(replace(study, schedules=tuple(schedules))))
    assert "4 to 8 tunings of each schedule that has something to tune" in told
    once = {"lr": 0.1}  # a schedule that searches nothing has as many winners as trials
    same = [
        replace(s, winners=(once,) * 8)
        if s.name in winners
        else replace(s, tune_trials=4, winners=(once,) * 4)
        for s in schedules
    ]
    told = " ".join(conditions(replace(study, schedules=tuple(same))))
    assert "8 tunings of each schedule that has something to tune" in told
    assert "to 8" not in told


def test_the_primary_target_carries_the_headline_also_if_it_is_not_the_hardest():
    study = samples.study()
    for schedule in study.schedules:
        study = changed(study, schedule.name, 0, primary=True)
    assert "reached 95% validation accuracy" in headline(study)
    assert remarks(study)[0].startswith("lipschitz-tuned reached 97%")
    groups = study_page(study).sections[0].tables[0].groups
    assert [group.title for group in groups] == [
        "validation accuracy 95%, the primary target",
        "validation accuracy 97%",
    ]


STEP = NextStep(("step", "lipschitz"), "most", 16, 320, 9000.0, "epochs", {"step": 0.82, "lipschitz": 0.4})


def test_the_next_step_is_the_second_sentence_with_its_command_cost_and_chance():
    study = replace(samples.study(), next_step=STEP, run="runs/digits")
    assert remarks(study)[0] == (
        "To decide step and lipschitz: up to 16 tunings of each, lrstudy extend runs/digits --most 16 (at "
        "most 320 trials and 9,000 epochs more; chance to decide as the data look now: 82% for step and 40% "
        "for lipschitz)."
    )
    shown = io.StringIO()
    show_verdict(Console(file=shown, width=80, color_system=None), study, "/far/digits")
    assert "\nnext: lrstudy extend /far/digits --most 16\n" in shown.getvalue()
    assert max(map(len, shown.getvalue().splitlines())) <= 80


def test_one_tuning_of_each_is_told_to_be_run_again_with_more():
    once = replace(STEP, what="replicates", value=8, one_tuning=True)
    study = replace(samples.study(), next_step=once, run="runs/digits")
    assert "again with more tunings: lrstudy extend runs/digits --replicates 8" in remarks(study)[0]


def test_a_comparison_that_nothing_decides_is_said_to_be_one():
    study = replace(samples.study(), next_step=replace(STEP, what=None, value=None))
    assert remarks(study)[0].startswith(
        "No extension is likely to decide step and lipschitz: with eight times"
    )
    assert "lrstudy extend" not in remarks(study)[0]


def test_epochs_have_one_decimal_in_every_column_whatever_their_interval():
    study = changed(
        samples.study(),
        "step",
        1,
        mean_time=Interval(16.8, 9.0, 24.0),
        ert=16.8,
        iqm=16.8,
    )
    page = study_page(study)
    tables = [table for section in page.sections for table in section.tables]
    (row,) = (row for row in tables[0].groups[0].rows if row[0].text == "step")
    assert (row[5].text, row[5].range, row[7].text) == ("16.8", "9.0 to 24.0", "16.8")
    measures = next(table for table in tables if table.title == "By other measures")
    assert next(row for row in measures.groups[0].rows if row[0].text == "step")[-1].text == "16.8"


def test_a_study_that_is_not_complete_is_not_said_to_run():
    (said, *_) = remarks(replace(samples.study(), complete=False))
    assert said.startswith("The study is not complete")
    assert "running" not in said


def test_unequal_numbers_of_seeds_are_said_to_be_up_to_the_most():
    assert any("over 10 paired seeds." in sentence for sentence in explanation(samples.study()))
    fewer = changed(samples.study(), "step", 1, runs=7)
    assert any("over up to 10 paired seeds." in sentence for sentence in explanation(fewer))
