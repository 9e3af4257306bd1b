"""Arguments and options that several commands share, with one help text for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrstudy.cli.completion import run_folders, study_files

StudyArgument = Annotated[
    Path,
    typer.Argument(
        metavar="STUDY", help="A study file (TOML).", show_default=False, autocompletion=study_files
    ),
]
StudiesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="STUDY...",
        help="Study files (TOML), one or several.",
        show_default=False,
        autocompletion=study_files,
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run: its folder runs/<study>, or a URI.",
        show_default=False,
        autocompletion=run_folders,
    ),
]
OutOption = Annotated[str, typer.Option(metavar="DIR", help="Folder of runs: each is in DIR/<study>/.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change one value of the study file; repeatable."),
]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY.PATH=VALUE", help="Change one setting that decides no trial; repeatable."
    ),
]
ReportsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder of the report: DIR/<study>/; default report/ in the run's folder."
    ),
]
AddressOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster; default this machine.")
]
ServerOption = Annotated[
    str, typer.Option("--address", metavar="URL", help="The cluster's job server: http://HEAD:8265.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only, no progress.")]
ModulesOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FOLDER", help="A folder of the study's own modules, besides the current one; repeatable."
    ),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of data sets; default $LRSTUDY_DATA, else a per-user cache.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
