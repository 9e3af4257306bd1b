"""The order of the report: from a study to the whole page as data."""

from __future__ import annotations

from datetime import UTC, datetime

from lrstudy.analysis.summary import Summary
from lrstudy.report.figures.curves import learning_curves
from lrstudy.report.figures.ecdf import attainment
from lrstudy.report.figures.levels import speedup_by_target
from lrstudy.report.figures.rate_over_limit import rate_over_limit
from lrstudy.report.figures.rates import learning_rates
from lrstudy.report.figures.sensitivity import rate_sensitivity
from lrstudy.report.figures.speedup import speedup
from lrstudy.report.figures.time_to_target import time_to_target
from lrstudy.report.figures.tuning import tuning_curves
from lrstudy.report.page_model import Page, Section
from lrstudy.report.sections.cost_tables import ledger_table, winners_table
from lrstudy.report.sections.end_tables import end_table, end_values_of_runs
from lrstudy.report.sections.explanation import explanation
from lrstudy.report.sections.headline import conditions, headline, remarks
from lrstudy.report.sections.length_tables import length_table
from lrstudy.report.sections.money_notes import whole_cost
from lrstudy.report.sections.verdict_tables import measures_table, verdict_table
from lrstudy.rules.counting import counted
from lrstudy.version import __version__


def study_page(study: Summary, made_at: datetime | None = None) -> Page:
    """A study's report; ``made_at`` is its only date, in the last line."""
    sections = [
        Section(
            "verdict",
            "The verdict",
            tables=(*length_table(study), verdict_table(study), *end_table(study)),
            data=end_values_of_runs(study),
        ),
        Section(
            "evidence",
            "Speed of convergence",
            figures=(learning_curves(study), time_to_target(study), speedup(study), speedup_by_target(study)),
        ),
        Section(
            "measures",
            "By other measures",
            tables=(measures_table(study),) if study.targets else (),
            figures=(attainment(study),),
        ),
        Section("rates", "Learning rates", figures=(learning_rates(study),)),
        Section(
            "tuning",
            "Winners and cost of tuning",
            intro=(study.variation,) if study.variation else (),
            tables=(winners_table(study),),
            figures=(rate_sensitivity(study), tuning_curves(study)),
        ),
        Section(
            "ledger",
            "Ledger",
            intro=_ledger_intro(study),
            tables=(ledger_table(study),),
        ),
    ]
    if (distance := rate_over_limit(study)) is not None:
        place = next(at for at, section in enumerate(sections) if section.key == "tuning")
        sections.insert(place, Section("limit", "Stability of the training", figures=(distance,)))
    if study.stability:
        sections.insert(
            2,
            Section(
                "stability",
                "Stability of the verdict",
                intro=study.stability,
            ),
        )
    warned = study.warnings or ()
    sections.append(
        Section(
            "warnings",
            "Warnings",
            intro=() if warned else ("There are no warnings.",),
            items=warned,
        )
    )
    sections.append(
        Section(
            "provenance",
            "Provenance",
            facts=study.facts,
            verbatim_title="The resolved study file" if study.spec else "",
            verbatim=study.spec,
        )
    )
    command = study.next_step.command(study.run) if study.next_step else None
    return Page(
        study.name,
        headline(study),
        conditions(study),
        remarks(study),
        tuple(sections),
        closing_line(made_at),
        explanation(study),
        command or "",
    )


def _ledger_intro(study: Summary) -> tuple[str, ...]:
    whole = "The cost of each schedule: all of its trials, winners and losers."
    shorter = counted(study.shorter_trials, "trial")
    left_out = (f"It leaves out {shorter} of shorter trainings.",) if study.shorter_trials else ()
    return (whole, *left_out, *filter(None, [whole_cost(study)]))


def closing_line(made_at: datetime | None, source: str = "the study's store") -> str:
    """Return the report's last line, which holds its only date."""
    when = "" if made_at is None else f" on {made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"Made by lrstudy {__version__}{when} from {source}."
