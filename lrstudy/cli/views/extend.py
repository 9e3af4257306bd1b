"""The view of ``extend``: what changes and what is trained for it; then the extended study runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lrstudy.cli.output import messages
from lrstudy.cli.views.run import RunOptions, run_study, stored_study
from lrstudy.errors import InputError, Problem
from lrstudy.rules.counting import counted
from lrstudy.rules.extension import Extended, Extension, changed_keys
from lrstudy.spec.extend_study import extend_study
from lrstudy.store.judged_metric import check_judged


def extend_run(run: str, extension: Extension, options: RunOptions, own: Sequence[Path]) -> None:
    """Extend a run, train what is missing, then write the report and show the verdict.

    Raises ``InputError``, before any write, for an extension that cannot be had.
    """
    if extension.is_empty:
        remedy = "Give at least one option, for example --confirm-seeds 20 or --replicates 8."
        raise InputError(Problem("command line", "", "says nothing to extend the run by", remedy))
    store, study = stored_study(run)
    if extension.metric is not None:
        check_judged(store, extension.metric)
    now = extend_study(study, extension, run)
    changes = changed_keys(study.to_json(), now.to_json())
    if extension.metric is not None:
        changes["judged.metric"] = [store.study.metric.name, extension.metric]
    if not options.quiet:
        said = "; ".join(_change(key, *values) for key, values in changes.items())
        more = now.all_trials - study.all_trials
        messages().print(f"extends {run}: {said} ({counted(more, 'more trial')} planned)", markup=False)
    files = [Path(word.partition("=")[2]).expanduser().resolve().parent for word in extension.schedules]
    extended = Extended(extension, study.spec_hash, changes)
    run_study(now, store.location, options, (*files, *own), extended=extended)


def _change(key: str, before: object, now: object) -> str:
    if isinstance(now, dict):
        return f"{key} added"
    return f"{key} = {now}" if before is None else f"{key} {before} → {now}"
