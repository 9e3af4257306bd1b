"""One trial in a terminal or in a picture: its end, its parameters, its curves and its log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from lrstudy.cli.terminal_plot import Series, has_braille, plot
from lrstudy.errors import InputError, Problem
from lrstudy.records import Phase, Status
from lrstudy.report.figures.model import STATIC, Line, Panel
from lrstudy.report.figures.trial_curves import EVALUATIONS, LINES, trial_curves
from lrstudy.report.text import count, params, share, span, trim
from lrstudy.store import StudyInfo
from lrstudy.store.trial_history import Divergence, TrialHistory

_WIDTH: Final = 80
_HEIGHT: Final = 6
_STYLES: Final = ("yellow", "bold cyan")  # training, validation
_LETTERS: Final = (".", "*")
_PHASES: Final = {
    Phase.RANGE_TEST: "range test",
    Phase.TUNE: "tuning",
    Phase.SELECT: "selection",
    Phase.CONFIRM: "confirm run",
}


def print_trial(console: Console, history: TrialHistory, study: StudyInfo) -> None:
    """Print a trial; plots have at most 80 columns."""
    for said in _about(history, study):
        console.print(said)
    figure = trial_curves(history, study.metric, study.clock)
    dots = has_braille(console.encoding)
    width = min(console.width, _WIDTH)
    time = figure.times[0] if figure.times else STATIC
    for panel in figure.panels:
        console.print()
        console.print(_heading(panel, dots=dots))
        series = [
            Series(
                mark.points[time].x,
                mark.points[time].y,
                _STYLES[mark.schedule],
                _LETTERS[mark.schedule],
                dashed=mark.schedule == 0 and len(panel.marks) > 1,
            )
            for mark in panel.marks
            if isinstance(mark, Line)
        ]
        for row in plot(series, width, _HEIGHT, log=panel.y.log, percent=panel.y.percent, dots=dots):
            console.print(row, no_wrap=True, overflow="crop")
    if figure.panels:
        console.print(Text((time or EVALUATIONS).rjust(width), style="dim"))
    if history.log:
        console.print("\nlog")
        for line in history.log:
            console.print(Text(f"  {line}"))


def draw_trial(history: TrialHistory, study: StudyInfo, file: Path) -> None:
    """Draw a trial's curves into a PNG file; raises ``InputError`` where there are none, or no room."""
    from lrstudy.report.matplotlib_renderer import draw_png
    from lrstudy.report.style import looks

    figure = trial_curves(history, study.metric, study.clock)
    if not figure.panels:
        remedy = "lrstudy show RUN TRIAL says how it ended."
        raise InputError(Problem(history.record.trial_id, "", "has no evaluation to draw", remedy))
    try:
        file.write_bytes(draw_png(figure, LINES, looks(LINES, None)))
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise InputError(
            Problem("command line", "--png", message, "Choose another path.", str(file))
        ) from error


def _about(history: TrialHistory, study: StudyInfo) -> Iterator[Text]:
    record, metric = history.record, study.metric
    style = {Status.DIVERGED: "red", Status.FAILED: "red", Status.PRUNED: "yellow"}.get(
        record.status, "green"
    )
    yield Text.assemble((record.trial_id, "bold"), ": ", (record.status.value, style))
    parts = [f"{_PHASES[record.phase]} of {record.schedule}", f"seed {record.seed}"]
    if study.budget.replicates > 1 or record.replicate > 1:
        parts.append(f"tuning {record.replicate}")
    if record.attempt > 1:
        parts.append(f"attempt {record.attempt}")
    if record.node:
        parts.append(f"{record.device} of {record.node}")
    yield Text(", ".join(parts))
    yield Text(f"parameters: {params(record.params) or 'none'}")
    yield Text(f"trained: {', '.join(_trained(history, study)) or 'no evaluation'}")
    if record.best_val is not None:
        best = [row for row in history.rows if row.evaluation == record.best_evaluation]
        when = f" {best[0].when}" if best else ""
        yield Text(f"best: {metric.name} {share(metric, record.best_val)}{when}")
    if record.test_accuracy is not None or record.test_loss is not None:
        tests = {"loss": record.test_loss, "accuracy": record.test_accuracy, "r2": record.test_r2}
        yield Text("test: " + ", ".join(f"{name} {trim(v)}" for name, v in tests.items() if v is not None))
    if (end := history.divergence) is not None:
        yield from _divergence(end)
    elif record.error:
        yield Text(f"error: {record.error}", style="red")


def _trained(history: TrialHistory, study: StudyInfo) -> Iterator[str]:
    record = history.record
    if record.epochs_run is not None:
        length = f" of {record.length}" if record.length and study.clock == "epochs" else ""
        yield f"{trim(record.epochs_run)}{length} epochs"
    if record.steps_run is not None:
        length = f" of {count(record.length)}" if record.length and study.clock == "steps" else ""
        yield f"{count(record.steps_run)}{length} steps"
    seconds = [row.value("train_seconds") for row in history.rows]  # imported histories may have none
    known = [value for value in seconds if value is not None]
    if known and len(known) == len(seconds):
        yield span("seconds", sum(known))


def _divergence(end: Divergence) -> Iterator[Text]:
    yield Text(f"diverged: {end.reason}", style="red")
    parts = [f"step {count(end.step)}"] if end.step is not None else []
    if end.lr is not None:
        most = "" if end.lr_max is None or end.lr_max == end.lr else f" (at most {end.lr_max:.4g})"
        parts.append(f"learning rate {end.lr:.4g}{most}")
    if any(loss is not None for loss in end.losses):
        last = ", ".join("–" if loss is None else f"{loss:.4g}" for loss in end.losses)
        parts.append(f"last training losses {last}")
    parts += [f"{name} {value:.4g}" for name, value in end.norms.items()]
    yield Text("  " + "; ".join(parts))
    if end.cause:
        yield Text(f"  before these steps: {end.cause}")


def _heading(panel: Panel, *, dots: bool) -> Text:
    """Return the panel's title, its scale and the key of its lines."""
    text = Text(panel.title + (", log scale" if panel.y.log else ""), style="bold")
    if len(panel.marks) > 1:
        for mark in panel.marks:
            if isinstance(mark, Line):
                sign = "╌─"[mark.schedule] if dots else _LETTERS[mark.schedule]
                text.append(f"  {sign} {mark.label}", style=f"not bold {_STYLES[mark.schedule]}")
    return text
