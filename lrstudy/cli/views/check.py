"""The check of a training, as data and as a page of text."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from lrstudy.cli.terminal_table import line
from lrstudy.rules.counting import counted
from lrstudy.rules.durations import measured_time, waiting_time
from lrstudy.spec import Study
from lrstudy.tuning.check_child import CheckResult

_STYLES: Final = {"ok": "green", "problem": "red", "warning": "yellow", "skipped": "dim"}


def check_data(study: Study, steps: int, result: CheckResult) -> dict[str, Any]:
    """Return everything that ``lrstudy check`` shows, as plain data."""
    return {
        "study": study.name,
        "steps": steps,
        "checks": result.items,
        "problems": len(result.problems),
        "seconds_per_step": result.step_seconds,
        "seconds": result.seconds,
    }


def show_check(console: Console, study: Study, steps: int, result: CheckResult) -> None:
    """Print the results so that they fit 80 columns."""
    name = study.function.train if study.function is not None else study.built_in.model.name
    trainings = f"short trainings of {counted(steps, 'step')} each" if study.function else "short trainings"
    console.print(f"[bold]{escape(study.name)}[/bold]  {escape(name)}: {trainings}\n")
    for item in result.items:
        text = item["message"] + (f".\n{item['remedy']}" if item["remedy"] else "")
        _show(console, item["check"], Text(item["result"], _STYLES[item["result"]]), text)
    if result.step_seconds is not None:
        _show(console, "a step", "", f"takes {measured_time(result.step_seconds)}")
    if result.seconds is not None:
        trials = counted(study.all_trials, "trial")
        _show(
            console, "the study", "", f"takes about {waiting_time(result.seconds)}: {trials} on this machine"
        )
    found = counted(len(result.problems), "problem") if result.problems else "no problem"
    console.print(f"\n{found}", style="red" if result.problems else "green")


def _show(console: Console, label: str, result: Text | str, text: str) -> None:
    console.print(line(label, result, text, widths=[18, 7], gap=1))
