"""Pictures of the command line in a real terminal, as reports/cli/ keeps them. Not a test: run it by hand.

    python tests/cli/terminal_pictures.py STUDY OUT    # needs tmux, chromium and playwright

Each picture is what tmux shows after the command has run for a while: a run in mid-study, watched from a
second window, a plan and a refused study file, in 80 and 120 columns.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

ROWS = 38
BROKEN = ("task.epochs=0", "budget.trial=8", 'schedules.cylic={"max_lr"=0.1}', "schedules.fixed.lr.low=9")


class Terminal:
    """A tmux session of its own server."""

    def __init__(self, columns: int, folder: Path) -> None:
        self._tmux = ["tmux", "-L", f"lrstudy-{os.getpid()}-{time.monotonic_ns()}"]
        size = ["-x", str(columns), "-y", str(ROWS)]
        shell = f"cd {folder} && PATH={Path(sys.executable).parent}:$PATH PS1='$ ' bash --norc"
        subprocess.run([*self._tmux, "-f", "/dev/null", "new-session", "-d", *size, shell], check=True)
        self.columns = columns

    def type(self, line: str) -> None:
        subprocess.run([*self._tmux, "send-keys", line, "Enter"], check=True)

    def screen(self) -> str:
        shown = subprocess.run(
            [*self._tmux, "capture-pane", "-e", "-p"], check=True, capture_output=True, text=True
        )
        return shown.stdout.rstrip() + "\n"

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False)


def draw(screen: str, columns: int, title: str, picture: Path) -> None:
    """The screen's text and colours as a PNG file."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.rstrip("\n")), soft_wrap=True)
    page = console.export_html(theme=DIMMED_MONOKAI, inline_styles=True)
    page = page.replace("<body", '<body style="margin:14px;width:max-content"', 1)
    with sync_playwright() as drive:
        browser = drive.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 9 * columns, "height": 200}, device_scale_factor=1.5)
        tab.set_content(page)
        tab.locator("body").screenshot(path=picture)
        browser.close()
    print(title, picture)


def wait_for(terminal: Terminal, words: str, seconds: float = 300) -> str:
    end = time.monotonic() + seconds
    while words not in (screen := terminal.screen()):
        assert time.monotonic() < end, screen
        time.sleep(0.5)
    return screen


def pictures(study: Path, out: Path, columns: int) -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        (Path(folder) / study.name).write_bytes(study.read_bytes())
        terminal = Terminal(columns, Path(folder))
        try:
            for name, line, words in (
                ("plan", f"lrstudy plan {study.name}", "shows"),
                ("refused", f"lrstudy run {study.name} " + " ".join(f"--set '{b}'" for b in BROKEN), "$ "),
                ("run", f"lrstudy run {study.name}", "done in about"),
            ):
                terminal.type("clear")
                time.sleep(1)
                terminal.type(line)
                time.sleep(2 if name != "refused" else 6)
                screen = wait_for(terminal, words)
                if name == "run":
                    time.sleep(10)
                    screen = terminal.screen()
                draw(screen, columns, name, out / f"{name}-{columns}.png")
            watcher = Terminal(columns, Path(folder))
            try:
                watcher.type("clear; lrstudy status --watch runs/*")
                draw(wait_for(watcher, "runs it"), columns, "watch", out / f"watch-{columns}.png")
            finally:
                watcher.close()
            draw(wait_for(terminal, "report:"), columns, "end", out / f"end-{columns}.png")
        finally:
            terminal.close()


if __name__ == "__main__":
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for width in (80, 120):
        pictures(Path(sys.argv[1]), target, width)
