"""The command line: parse, call, print. Heavy imports happen inside the commands."""

from lrstudy.cli.app import app
from lrstudy.cli.entry_point import main

__all__ = ["app", "main"]
