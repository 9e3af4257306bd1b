"""A schedule that was stopped by hand: no verdict, no further look, and no verdict of another made easier."""

from __future__ import annotations

import pytest
from analysis_samples import Sample, race, rising
from test_analysis_open_comparisons import study

from lrstudy.analysis import analyse
from lrstudy.analysis.open_comparisons import open_schedules
from lrstudy.report.sections.headline import headline
from lrstudy.report.sections.page import study_page

# The reference needs long; quick is faster in each seed, and late would be slower.
TIMES = {
    "fixed": [6, 7, 6, 7, 6, 7, 6, 7],
    "quick": [2, 3, 2, 3, 2, 3, 3, 2],
    "late": [9, 9, 8, 9, 8, 9, 9, 9],
}


def stopped(*names: str, times: dict[str, list[int]] | None = None) -> Sample:
    entries = {name: {"at": "2026-01-01T00:00:00+00:00", "looks": 0} for name in names}
    sample = race(times or TIMES, confirm_seeds=8, stopped=entries)
    for name in times or TIMES:
        sample.add(name, rising(5), phase="tune")
    return sample


def verdicts(sample: Sample) -> dict[str, str]:
    return {one.name: one.reach[0].verdict for one in analyse(sample).schedules}


def test_it_has_no_verdict_and_the_others_keep_theirs() -> None:
    assert verdicts(stopped()) == {"fixed": "reference", "quick": "faster", "late": "slower"}
    summary = analyse(stopped("late"))
    assert verdicts(stopped("late")) == {"fixed": "reference", "quick": "faster", "late": "stopped"}
    assert summary.schedules[2].reach[0].hits == 8, "what it has is shown"
    assert summary.end is not None
    assert [value.verdict for value in summary.end.values][2] == "stopped"
    assert "late was stopped by hand and has no verdict" in headline(summary)
    (warning,) = (text for text in summary.warnings if "stopped by hand" in text)
    assert warning.startswith("late: stopped by hand after 9 of 9 trials. It gets no verdict")
    assert warning.endswith("lrstudy stop RUN --schedule late --undo, then lrstudy resume RUN.")
    page = study_page(summary)
    cells = [cell for group in page.sections[0].tables[0].groups for row in group.rows for cell in row]
    assert "■ stopped" in [cell.text for cell in cells]


def test_stopping_one_makes_no_verdict_on_another_easier() -> None:
    """Holm's factor for the larger of two p-values is 1 once the smaller is rejected; a stop rejects none."""
    times = TIMES | {"quick": [5, 7, 5, 7, 4, 6, 6, 7]}

    def p_of_quick(sample: Sample) -> float:
        found = analyse(sample).schedules[1].reach[0].p_value
        assert found is not None
        return found

    alone = p_of_quick(stopped(times={name: times[name] for name in ("fixed", "quick")}))
    assert 0.0 < alone < 0.5
    assert p_of_quick(stopped(times=times)) == pytest.approx(alone), "the other's p-value is smaller"
    assert p_of_quick(stopped("late", times=times)) == pytest.approx(2 * alone)


def test_a_study_is_complete_without_its_missing_trials() -> None:
    fewer = TIMES | {"late": TIMES["late"][:3]}
    assert not analyse(stopped(times=fewer)).complete
    summary = analyse(stopped("late", times=fewer))
    assert (summary.complete, summary.planned) == (True, summary.ended)
    assert verdicts(stopped("late", times={**TIMES, "late": []}))["late"] == "stopped", "also without a run"


def test_it_is_open_at_no_look() -> None:
    open_ones = study({"fixed": [[4, 4]] * 8, "a": [[3, 6]] * 8, "b": [[4, 5]] * 8})
    assert "a" in open_schedules(open_ones, 8)
    open_ones.stopped = {"a": {"looks": 0}}
    assert "a" not in open_schedules(open_ones, 8)
