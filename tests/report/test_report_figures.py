"""Figures hold the study's numbers, nothing more: what is drawn, in which units, with which table behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
import report_samples as samples

from lrstudy.analysis.explosions import Diagnosed
from lrstudy.analysis.intervals import Interval
from lrstudy.analysis.summary import Curve, Ecdf, Steps, TunedTrial, TuningCurve
from lrstudy.report.figures.common import curve_line, log_range
from lrstudy.report.figures.curves import learning_curves
from lrstudy.report.figures.ecdf import attainment
from lrstudy.report.figures.levels import speedup_by_target
from lrstudy.report.figures.model import Dots, Estimate, Line, Rule
from lrstudy.report.figures.rate_over_limit import rate_over_limit
from lrstudy.report.figures.rates import learning_rates
from lrstudy.report.figures.sensitivity import rate_sensitivity, searched_rate
from lrstudy.report.figures.speedup import speedup
from lrstudy.report.figures.time_to_target import time_to_target
from lrstudy.report.figures.tuning import tuning_curves
from lrstudy.report.sections.cost_tables import winners_table
from lrstudy.report.sections.page import study_page
from lrstudy.rules.metrics import declared_metrics


@pytest.fixture(scope="module")
def study():
    return samples.study()


def lines(panel):
    return [mark for mark in panel.marks if isinstance(mark, Line)]


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [
        ((0.4, 0.8), (0.6, 1.2), (0.4, 1.2)),
        ((-1.0, 1e-6), (2.0, 90.0), (0.5, 2.0)),  # a band over decades does not stretch the axis
        ((None, 0.2), (None, float("nan")), (0.2, 1.0)),
        ((), (), (0.5, 1.0)),
    ],
)
def test_a_logarithmic_axis_shows_the_means_and_bands_that_are_near_them(low, high, ends):
    curve = Curve({"epochs": (1, 2)}, (0.5, 1.0), low, high, (3, 3))
    assert log_range([(0, None, curve)]) == pytest.approx((ends[0] / 1.2, ends[1] * 1.2))
    assert log_range([(0, None, replace(curve, value=(0.5, 0.0)))]) is None


def test_panels_of_losses_and_rates_end_near_their_lines(study):
    wide = {
        name: replace(curve, low=tuple(1e-9 for _ in curve.value))
        for name, curve in study.schedules[0].curves.items()
    }
    changed = replace(study, schedules=(replace(study.schedules[0], curves=wide), *study.schedules[1:]))
    for panel in (learning_curves(changed).panels[1], learning_rates(changed).panels[0]):
        means = [value for line in lines(panel) for value in line.points["epochs"].y if value is not None]
        assert panel.y.log
        assert min(means) / 4 < panel.y.range[0] < min(means)


@pytest.mark.parametrize(("first", "ends"), [(300.0, (2 / 1.2, 360.0)), (3.0, None)])
def test_another_metric_has_a_logarithmic_axis_where_it_spans_decades(study, first, ends):
    metric = declared_metrics({"perplexity": "min"})["perplexity"]
    curve = Curve({"epochs": (1.0, 2.0)}, (first, 2.0), (), (), (3, 3))
    schedule = replace(study.schedules[0], curves=study.schedules[0].curves | {"perplexity": curve})
    changed = replace(study, declared=(metric,), schedules=(schedule, *study.schedules[1:]))
    axis = learning_curves(changed).panels[-1].y
    assert axis.log == (ends is not None)
    assert axis.range == pytest.approx(ends)


def test_learning_curves_are_the_means_with_their_bands_in_every_unit(study):
    figure = learning_curves(study)
    assert figure.times == ("epochs", "steps", "seconds")
    fixed = lines(figure.panels[0])[2]
    curve = study.schedules[2].curves["val_accuracy"]
    assert fixed.points["epochs"].y == curve.value
    assert fixed.points["epochs"].low == curve.low
    assert fixed.points["steps"].x == curve.times["steps"]
    assert len(figure.table.rows) == 5 * samples.EPOCHS


def test_the_distance_to_the_stability_limit_is_drawn_where_it_was_measured(study):
    assert rate_over_limit(study) is None
    assert "limit" not in [section.key for section in study_page(study).sections]
    epochs = (1.0, 2.0, 3.0)
    medians = Curve({"epochs": epochs}, (0.5, 11.0, 0.0), (0.4, 9.0, 0.0), (0.6, 40.0, 0.0), (3, 3, 3))
    first, *others = study.schedules
    first = replace(
        first,
        curves=first.curves | {"rate_over_limit": medians, "gradient_ratio": medians},
        diagnosed=Diagnosed(1 / 3, 0.25, "'conv2'"),
    )
    measured = replace(study, schedules=(first, *others))
    assert "limit" in [section.key for section in study_page(measured).sections]
    figure = rate_over_limit(measured)
    assert figure.takeaway == (
        "lipschitz was above the stability limit in 33% of its measurements, in the median of its runs by a "
        "factor of up to 11. The last layer's gradient was the largest in 25% of the measurements of "
        "lipschitz (most often it was that of 'conv2')."
    )
    limit, premise = figure.panels
    assert limit.marks[0] == Rule("y", 1.0, "limit")
    assert lines(limit)[0].points["epochs"].y == (0.5, 11.0, None)  # the axis is logarithmic
    assert limit.y.log
    assert premise.marks[0] == Rule("y", 1.0, "premise")
    assert [row[2] for row in figure.table.rows] == [0.5, 11.0, 0.0]


def test_a_method_with_its_own_loss_is_named_as_one_with_its_own_optimizer(study):
    first, second, *others = study.schedules
    own = replace(first, loss="clipped-cross-entropy"), replace(second, optimizer="adam", loss="mae")
    changed = replace(study, schedules=(*own, *others))
    assert winners_table(changed).notes[-1] == (
        "lipschitz is lipschitz with clipped-cross-entropy and lipschitz-tuned is lipschitz with adam and "
        "mae; the others train with the task's optimizer and loss."
    )
    assert "lipschitz on clipped-cross-entropy" in learning_curves(changed).reading
    assert "cannot be compared" not in learning_curves(study).reading


def test_long_curves_are_thinned_to_what_a_plot_can_show_but_not_in_the_table(study):
    epochs = tuple(float(e) for e in range(1, 3002))
    long = Curve({"epochs": epochs}, epochs, (), (), ())
    points = curve_line(0, "a", long).points["epochs"]
    assert len(points.x) <= 402
    assert points.x[0] == 1
    assert points.x[-1] == 3001
    schedules = (replace(study.schedules[0], curves={"val_accuracy": long}),)
    assert len(learning_curves(replace(study, schedules=schedules)).table.rows) == 3001


def test_time_to_target_leaves_out_who_never_arrives(study):
    figure = time_to_target(study)
    assert [len(lines(panel)) for panel in figure.panels] == [5, 4]
    assert all(line.step for panel in figure.panels for line in lines(panel))


def test_forest_has_a_row_for_every_other_schedule_and_words_for_those_without_a_ratio(study):
    figure = speedup(study)
    rows = [mark for mark in figure.panels[1].marks if isinstance(mark, Estimate)]
    assert [row.row for row in rows] == ["lipschitz", "lipschitz-tuned", "step", "cyclic"]
    assert rows[3].value is None
    assert rows[3].text == "no ratio: 0 of 10 runs reached it"
    assert rows[1].text == "1.83× (1.47 to 2.20)"
    low, high = figure.panels[0].x.range
    assert low < 0.53
    assert high > 2.4


def test_interval_without_limit_is_open_on_that_side(study):
    infinite = Interval(2.0, 1.5, float("inf"))
    way = replace(study.schedules[0].reach[0], speedup=infinite)
    schedules = (replace(study.schedules[0], reach=(way, way)), study.schedules[2])
    row = next(
        mark
        for mark in speedup(replace(study, schedules=schedules)).panels[0].marks
        if isinstance(mark, Estimate)
    )
    assert (row.low, row.high) == (1.5, None)
    assert row.text == "2.0× (1.5 to no limit)"


def test_speedup_by_target_says_where_the_band_excludes_equal_speed(study):
    figure = speedup_by_target(study)
    assert figure.takeaway == (
        "By the band over all levels, lipschitz is faster at 25 of 25 levels (50% to "
        "98%); lipschitz-tuned is faster at 25 of 25 levels (50% to 98%); cyclic is slower at 25 of 25 "
        "levels (50% to 98%); step: equal speed is excluded at no level."
    )


def test_kz_and_l_stand_under_the_rates_where_they_were_measured(study):
    figure = learning_rates(study)
    assert [len(lines(panel)) for panel in figure.panels] == [5, 2, 2]
    assert figure.table.columns == ("schedule", "epoch", "lr", "kz", "lipschitz_constant")
    without = replace(study, schedules=study.schedules[2:])
    assert len(learning_rates(without).panels) == 1


def test_rate_sensitivity_shows_each_trial_and_marks_the_diverged(study):
    figure = rate_sensitivity(study)
    assert [panel.title for panel in figure.panels] == [
        "lipschitz-tuned: lr",
        "fixed: lr",
        "step: lr",
        "cyclic: lr",
    ]
    drawn = sum(len(m.points[""].x) for panel in figure.panels for m in panel.marks if isinstance(m, Dots))
    assert drawn == 64
    crossed = [m for panel in figure.panels for m in panel.marks if isinstance(m, Dots) and m.crossed]
    worst = min(row[4] for row in figure.table.rows if row[4] is not None)
    assert all(set(mark.points[""].y) == {worst} for mark in crossed)


@pytest.mark.parametrize(
    ("params", "rate"),
    [
        ([{"lr": 0.1}, {"lr": 0.2}], "lr"),
        ([{"lr": 0.1, "max_lr": 1.0}, {"lr": 0.1, "max_lr": 2.0}], "max_lr"),
        ([{"gamma": 0.1}, {"gamma": 0.2}], None),
        ([{"lr": 0.1}], None),
        ([{"lr": [0.1]}, {"lr": "a"}], None),
        ([], None),
    ],
)
def test_searched_rate(params, rate):
    assert searched_rate([TunedTrial(f"t{i}", p, 0.5, "completed") for i, p in enumerate(params)]) == rate


def test_tuning_curves_show_value_and_price(study):
    figure = tuning_curves(study)
    assert [len(lines(panel)) for panel in figure.panels] == [5, 5]
    assert figure.panels[1].title == "Expected epochs to 97%, tuning included"


def test_break_even_with_the_untuned_rule_is_told(study):
    assert tuning_curves(study).takeaway == (
        "Tuning included, no tuned schedule reaches 97% in fewer epochs than lipschitz, which needs no "
        "tuning and takes 8.3 epochs."
    )
    schedules = tuple(replace(s, break_even=2 if s.name == "fixed" else None) for s in study.schedules)
    takeaway = tuning_curves(replace(study, schedules=schedules)).takeaway
    assert takeaway.startswith(
        "Tuning included, fixed (with 2 trials) reaches 97% in fewer epochs than lipschitz"
    )


def test_without_an_untuned_rule_the_tuning_curve_is_judged(study):
    tuned = replace(study, schedules=study.schedules[1:])
    assert (
        tuning_curves(tuned).takeaway == "No tuning curve was still improving noticeably at its last trial."
    )
    rising = TuningCurve((1, 2, 3, 4), (0.5, 0.6, 0.7, 0.9))
    schedules = (replace(study.schedules[2], best_of=rising),)
    assert tuning_curves(replace(study, schedules=schedules)).takeaway.startswith("fixed was still improving")


def test_a_run_that_misses_holds_its_curve_below_all_until_the_budget(study):
    shares = {"epochs": Steps((0.0, 4.0), (0.0, 0.5), (0.0, 0.2), (0.3, 0.8))}
    half = replace(study.schedules[2].reach[0], hits=5, shares=shares)
    schedules = (replace(study.schedules[2], reach=(half, half)),)
    (line,) = lines(time_to_target(replace(study, schedules=schedules)).panels[0])
    assert line.points["epochs"].x == (0.0, 4.0, float(samples.EPOCHS))
    assert line.points["epochs"].y == (0.0, 0.5, 0.5)


def test_attainment_says_whose_area_is_the_largest():
    ecdfs = {
        "lipschitz": Ecdf((1, 2, 3, 4), (0.5, 0.75, 1.0, 1.0), 0.8125, 20, 10),
        "fixed": Ecdf((1, 2, 3, 4), (0.0, 0.5, 0.75, 1.0), 0.5625, 20, 10),
    }
    found = samples.study()
    schedules = tuple(replace(s, ecdf=ecdfs.get(s.name)) for s in found.schedules)
    figure = attainment(replace(found, schedules=schedules))
    assert figure.takeaway.startswith("Averaged over the epochs, lipschitz has reached 81.2% of all pairs")
    assert "fixed 56.2%" in figure.takeaway
    assert [mark.label for mark in figure.panels[0].marks] == ["lipschitz", "fixed"]
    assert len(figure.table.rows) == 8
    none = replace(found, schedules=tuple(replace(s, ecdf=None) for s in found.schedules))
    assert attainment(none).panels == ()
    assert attainment(none).takeaway


def test_forest_draws_the_wider_interval_over_tunings_where_there_is_one(study):
    reach = study.schedules[0].reach[0]
    assert all(mark.wide is None for mark in estimates(speedup(study)))
    wider = replace(reach, speedup_tuned=Interval(reach.speedup.value, 0.4, 5.0))
    schedule = replace(study.schedules[0], reach=(wider, *study.schedules[0].reach[1:]))
    figure = speedup(replace(study, schedules=(schedule, *study.schedules[1:])))
    assert estimates(figure)[0].wide == (0.4, 5.0)
    assert figure.panels[0].x.range[0] < 0.4
    assert figure.panels[0].x.range[1] > 5.0
    assert figure.table.rows[0][5:7] == (0.4, 5.0), "behind target, schedule, speedup, low and high"


def estimates(figure):
    return [mark for panel in figure.panels for mark in panel.marks if isinstance(mark, Estimate)]
