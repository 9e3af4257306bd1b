"""The live page in a real browser: it follows its run without a reload, and keeps what the reader has set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from growing_run import PLANNED, append, numbers, study
from test_report_browser import browser as browser
from test_report_browser import pytestmark as pytestmark
from test_report_browser import wait

from lrstudy.records import Phase
from lrstudy.report.live import LiveServer
from lrstudy.report.live_page import LivePage
from lrstudy.store import StoreWriter, open_store

# Set once in the page: a reload would lose it.
MARK = "window.sameDocument = true"
PLOTS = """() => Object.fromEntries([...document.querySelectorAll(".plot")].map((plot) =>
  [plot.id, (plot.data ?? []).reduce((sum, trace) => sum + trace.x.length, 0)]))"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[StoreWriter]:
    with StoreWriter.create_or_open(tmp_path / "run", study()) as writer:
        yield writer


@pytest.fixture
def server(writer: StoreWriter, tmp_path: Path) -> Iterator[LiveServer]:
    server = LiveServer(LivePage(open_store(tmp_path / "run"), 0.1))
    server.start()
    yield server
    server.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Opens an address at a width; in the end no page has an error."""
    errors: list[str] = []
    contexts = []

    def opened(address: str, width: int = 1280) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
        page.goto(address)
        wait(page)
        page.evaluate(MARK)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def wait_for_words(page: Any, words: str) -> None:
    page.wait_for_function("(words) => document.querySelector('.live').innerText.includes(words)", arg=words)
    wait(page)


def test_the_page_follows_its_run_and_keeps_the_readers_choices(
    writer: StoreWriter, server: LiveServer, open_page: Any
) -> None:
    page = open_page(server.address)
    assert page.locator("h1").inner_text() == "No verdict yet: no trial has ended."
    assert page.locator(".plot").count() == 0
    trials = numbers()
    tuned = [trial for trial in trials if trial[1] is Phase.TUNE]
    for trial in [*tuned, *trials[len(tuned) : len(tuned) + 6]]:
        append(writer, *trial)
    wait_for_words(page, f"Running: {len(tuned) + 6} of {PLANNED} trials done")
    assert page.locator("h1").inner_text().startswith("So far: ")
    assert page.locator("#progress td").all_inner_texts()[:2] == ["4 of 4", "2 of 3"]

    page.click("[data-time=steps]")
    page.click("[data-schedule='1']")
    page.click("#figure-learning-curves [data-panel='1'][data-log=y]")
    wait(page)
    page.locator("#figure-learning-curves details.data summary").click()
    page.locator("#provenance details summary").click()
    page.locator("#figure-speedup").scroll_into_view_if_needed()
    before, rows = page.evaluate(PLOTS), page.locator("#figure-learning-curves tbody tr").count()
    top = "document.getElementById('figure-speedup').getBoundingClientRect().top"
    seen = page.evaluate(top)
    page.evaluate("document.getElementById('plot-learning-curves-0').mine = true")

    for trial in trials[len(tuned) + 6 :]:
        append(writer, *trial)
    writer.close()
    wait_for_words(page, "The run is over")
    assert page.evaluate("window.sameDocument"), "the page was not loaded again"
    assert not page.locator("h1").inner_text().startswith("So far: ")
    assert page.locator("#progress").count() == 0
    after = page.evaluate(PLOTS)
    assert after.keys() >= before.keys()
    assert page.locator("#plot-learning-curves-0 .xtitle").text_content() == "optimizer steps"
    assert page.get_attribute("[data-time=steps]", "aria-pressed") == "true"
    assert page.get_attribute("[data-schedule='1']", "aria-pressed") == "false"
    assert page.evaluate("document.getElementById('plot-learning-curves-1').layout.yaxis.type") == "linear"
    assert page.evaluate("document.getElementById('plot-learning-curves-0').mine"), "the plot was kept"
    assert page.evaluate("document.querySelectorAll('details[open]').length") == 2
    assert page.locator("#figure-learning-curves tbody tr").count() == rows, "of as many epochs"
    runs = page.locator("#figure-learning-curves tbody tr").first.locator("td").last
    assert runs.inner_text() == "3"
    assert abs(page.evaluate(top) - seen) < 60, "the reader's place"


def test_a_page_without_its_server_says_so_and_a_phone_shows_all(
    writer: StoreWriter, server: LiveServer, open_page: Any
) -> None:
    for trial in numbers()[: PLANNED - 3]:
        append(writer, *trial)
    page = open_page(server.address, width=380)
    wait_for_words(page, f"Running: {PLANNED - 3} of")
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    server.close()
    page.wait_for_selector(".live[data-kind=gone]")
    assert "lrstudy watch has ended" in page.locator(".live").inner_text()
    assert page.locator("h1").inner_text().startswith("So far: ")


def test_a_page_without_its_token_shows_nothing(server: LiveServer, browser: Any) -> None:
    page = browser.new_page()
    answer = page.goto(server.address.partition("?")[0])
    assert answer.status == 403
    assert "growing" not in page.content()
    page.close()
