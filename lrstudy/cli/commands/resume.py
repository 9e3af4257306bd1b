"""``lrstudy resume`` and ``lrstudy retry``: a run continued from its folder alone."""

from __future__ import annotations

from pathlib import Path

import typer

from lrstudy.cli.app import app
from lrstudy.cli.options import (
    AddressOption,
    ModulesOption,
    QuietOption,
    ReportsOption,
    RunArgument,
    SettingOption,
)
from lrstudy.rules.counting import counted


@app.command()
def resume(
    run: RunArgument,
    reports: ReportsOption = None,
    address: AddressOption = None,
    modules: ModulesOption = None,
    set_: SettingOption = None,
    quiet: QuietOption = False,
) -> None:
    """Continue a run that ended early, here or on another machine: its folder is all that is needed.

    With --set, settings that decide no trial can change: a higher cost.limit, prices, resources, faults,
    logging. A run that is complete gets its report with them.
    """
    from lrstudy.cli.views.run import RunOptions, run_study, stored_study

    store, study = stored_study(run, set_ or [])
    run_study(study, store.location, RunOptions(reports, address, quiet), (*(modules or []), Path.cwd()))


@app.command()
def retry(
    run: RunArgument,
    reports: ReportsOption = None,
    address: AddressOption = None,
    modules: ModulesOption = None,
    set_: SettingOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run a run's failed trials again, after their cause was corrected.

    The confirm runs of a schedule whose tuning had failures are run again too: it may get another winner.
    After a failed range test its whole tuning is run again, in the range that the test then names.
    """
    from lrstudy.cli.views.run import RunOptions, run_study, stored_study
    from lrstudy.tuning import to_retry

    store, study = stored_study(run, set_ or [])
    forget = to_retry(store.trial_records())
    if not forget:
        typer.echo("no trial of this run has failed")
        return
    typer.echo(f"running {counted(len(forget), 'trial')} again")
    options = RunOptions(reports, address, quiet)
    run_study(study, store.location, options, (*(modules or []), Path.cwd()), forget)
