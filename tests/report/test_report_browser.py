"""The page in a real browser: drawn, switched, narrow, dark, printed, and silent on the network."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import report_samples as samples
from report_samples import HOSTILE

from lrstudy.report.plotly_data import csv_text
from lrstudy.report.sections.page import study_page
from lrstudy.report.writing import page_html, write_comparison

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM.exists() and os.environ.get("LRSTUDY_REQUIRE_BROWSER") != "1",
        reason="needs /usr/bin/chromium; LRSTUDY_REQUIRE_BROWSER=1 makes its absence a failure",
    ),
]

NAMES = {"lipschitz": HOSTILE, "step": 'the "quoted" <b>one</b> %{x}', "cyclic": "a very long name " * 5}
# Dots that plotly draws come from these traces; "unused" settings are those that another setting overrules.
DRAWN = """() => [...document.querySelectorAll(".plot")].map((plot) => ({
  id: plot.id, svg: plot.querySelectorAll(".main-svg").length,
  traces: plot.querySelectorAll(".scatterlayer .trace").length,
  faults: (Plotly.validate(plot.data, plot.layout) ?? []).filter((one) => one.code !== "unused") }))"""
HOVER = "(curve) => Plotly.Fx.hover('plot-learning-curves-0', [{ curveNumber: curve, pointNumber: 3 }])"
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
# What sticks out on the right, outside the boxes that scroll on their own.
TOO_WIDE = """() => [...document.querySelectorAll("body *")].filter((one) =>
  !one.closest(".scroll, .rows, .chips, pre, svg") && one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 80))"""


def hostile_study():
    study = samples.renamed(samples.study(name=HOSTILE), NAMES)
    return replace(study, warnings=(HOSTILE,), task=HOSTILE, stability=(HOSTILE,))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The file addresses of some reports."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, study in {
        "study": samples.study(),
        "hostile": hostile_study(),
        "running": samples.running(),
        "diverged": samples.diverged(),
        "single": samples.study(seeds=1),
    }.items():
        file = folder / f"{name}.html"
        file.write_text(page_html(study_page(study), study.names, study.reference), encoding="utf-8")
        found[name] = file.as_uri()
    comparison = samples.comparison()
    comparison = replace(comparison, schedules=(HOSTILE, *comparison.schedules[1:]))
    found["comparison"] = write_comparison(comparison, folder).html.as_uri()
    return found


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=options)
        yield chromium
        chromium.close()


@pytest.fixture
def complaints():
    """What a browser complained about during a test, or asked the network for: nothing, in the end."""
    found = []
    yield found
    assert found == []


@pytest.fixture
def visit(browser, complaints):
    """Opens a page at a width and watches it."""
    contexts = []

    def request(asked):
        if not asked.url.startswith(("file:", "data:", "blob:")):
            complaints.append(f"request: {asked.url}")

    def opened(address, width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", request)
        page.goto(address)
        wait(page)
        return page

    yield opened
    for context in contexts:
        context.close()


def wait(page):
    page.wait_for_selector("html[data-ready]", timeout=60_000)


def assert_drawn(page, at_least):
    plots = page.evaluate(DRAWN)
    assert len(plots) >= at_least
    for plot in plots:
        assert plot["svg"], plot
        assert plot["traces"], plot
        assert plot["faults"] == [], plot


def assert_fits(page):
    page.evaluate(OPEN_ALL)
    page.wait_for_timeout(50)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert page.evaluate(TOO_WIDE) == []


def test_hostile_names_are_drawn_as_text_and_fit_a_phone(visit, pages):
    page = visit(pages["hostile"], width=380, scheme="dark")
    assert_drawn(page, at_least=12)
    assert_fits(page)
    assert page.evaluate("document.images.length") == 0
    assert page.locator("h1 b, td b, .plot b, .plot a").count() == 0
    assert page.locator("#plot-speedup-0 .ytick text").first.text_content().startswith("<img src=x")
    assert page.locator(".kicker b").inner_text() == HOSTILE
    for trace, name in ((1, HOSTILE), (7, NAMES["step"])):
        page.evaluate(HOVER, trace)
        page.wait_for_timeout(300)  # plotly answers a second hover only after a pause
        assert page.locator("#plot-learning-curves-0 .hoverlayer").text_content().startswith(name)


@pytest.mark.parametrize("name", ["running", "diverged"])
def test_reports_without_results_say_so_and_draw_no_empty_plot(visit, pages, name):
    page = visit(pages[name], width=380)
    assert_drawn(page, at_least=0)
    assert_fits(page)
    for box in page.locator("figure.card").all():
        assert box.locator(".takeaway").inner_text().endswith(".")


@pytest.mark.parametrize("width", [1280, 380])
def test_a_comparison_is_drawn_and_fits(visit, pages, width):
    page = visit(pages["comparison"], width=width)
    assert_drawn(page, at_least=3)
    assert_fits(page)
    assert page.locator("td").filter(has_text="<img src=x").count() > 0
    assert page.evaluate("document.images.length") == 0


def test_single_runs_are_drawn_without_bands(visit, pages):
    page = visit(pages["single"])
    assert_drawn(page, at_least=11)
    runs = ".plot[id^=plot-learning], .plot[id^=plot-time]"
    fills = f"[...document.querySelectorAll('{runs}')].flatMap((p) => p.data).filter((t) => t.fill).length"
    assert page.evaluate(fills) == 0


def test_study_is_drawn_switched_and_printed(visit, pages):
    page = visit(pages["study"], scheme="dark")
    assert_drawn(page, at_least=14)
    bar = page.evaluate("getComputedStyle(document.querySelector('.modebar-group')).backgroundColor")
    assert bar == "rgba(0, 0, 0, 0)", "its buttons are on the page's own ground"
    turn_the_theme(page)
    switch_the_time(page)
    hide_a_schedule(page)
    switch_one_log_axis(page)
    page.emulate_media(media="print")
    assert page.locator(".bar").is_hidden()
    assert page.locator(".print-legend").first.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def turn_the_theme(page):
    """Dark from the system; the button makes page and plots light."""
    colours = (
        "[document.getElementById('plot-tuning-0').layout.font.color, getComputedStyle(document.body).color]"
    )
    assert page.evaluate(colours) == ["#f2f2f2", "rgb(242, 242, 242)"]
    page.click("[data-theme-switch]")
    wait(page)
    assert page.evaluate(colours) == ["#1a1a1a", "rgb(26, 26, 26)"]


def switch_the_time(page):
    """Every plot that counts time follows the one switch."""
    first = "document.getElementById('plot-learning-curves-0').data[1].x[1]"
    before = page.evaluate(first)
    page.click("[data-time=steps]")
    wait(page)
    for plot in ("plot-learning-curves-0", "plot-time-to-target-1", "plot-learning-rates-2"):
        assert page.locator(f"#{plot} .xtitle").text_content() == "optimizer steps"
    assert page.evaluate(first) == 36 * before
    assert page.get_attribute("[data-time=steps]", "aria-pressed") == "true"
    assert page.get_attribute("[data-time=epochs]", "aria-pressed") == "false"


def hide_a_schedule(page):
    """One chip hides its schedule in every plot, and brings it back."""

    def traces():
        return [plot["traces"] for plot in page.evaluate(DRAWN)]

    before = traces()
    page.click("[data-schedule='1']")
    wait(page)
    hidden = traces()
    assert all(now < then for now, then in zip(hidden[:5], before[:5], strict=True))
    page.click("[data-schedule='1']")
    wait(page)
    assert traces() == before


def switch_one_log_axis(page):
    """A log button changes its own axis and no other, and holds when everything is drawn again."""

    def types(plot):
        return page.evaluate(
            f"['xaxis', 'yaxis'].map((a) => document.getElementById('{plot}').layout[a].type)"
        )

    assert types("plot-learning-curves-1") == ["linear", "log"]
    page.click("#figure-learning-curves [data-panel='1'][data-log=y]")
    page.click("#figure-learning-curves [data-panel='1'][data-log=x]")
    page.click("[data-time=seconds]")
    wait(page)
    assert types("plot-learning-curves-1") == ["log", "linear"]
    assert types("plot-learning-curves-0") == ["linear", "linear"]
    page.click("[data-time=epochs]")
    wait(page)


def test_tables_and_downloads_hold_the_numbers_of_the_files(visit, pages):
    page = visit(pages["hostile"])
    box = page.locator("#figure-speedup")
    box.locator("details.data > summary").click()
    assert box.locator("tbody tr").count() == 8
    assert box.locator("tbody td").nth(1).inner_text() == HOSTILE
    with page.expect_download() as download:
        box.locator("[data-download]").click()
    assert download.value.suggested_filename == "speedup.csv"
    figures = {figure.key: figure for figure in study_page(hostile_study()).figures}
    assert Path(download.value.path()).read_bytes() == csv_text(figures["speedup"].table).encode()
    for key, figure in figures.items():
        script = "(key) => csv(REPORT.figures.find((figure) => figure.key === key))"
        assert page.evaluate(script, key) == csv_text(figure.table), key
