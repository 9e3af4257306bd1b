"""A figure's description becomes the page's data, a PNG and a CSV: what each of them keeps."""

from __future__ import annotations

import json
import math
import struct

import pytest

from lrstudy.report.figures.model import (
    Axis,
    Dots,
    Estimate,
    Figure,
    Line,
    Panel,
    Points,
    Rule,
    Zone,
    static,
    table,
)
from lrstudy.report.html import _json, _script
from lrstudy.report.matplotlib_renderer import draw_png
from lrstudy.report.plotly_data import csv_text, payload
from lrstudy.report.style import looks

HOSTILE = "<img src=x onerror=alert(1)>"


def some_figure(name: str = "rule") -> Figure:
    curve = Line(0, name, {"epochs": Points((1, 2, 3), (0.1, None, 0.3), (0.0, None, 0.2), (0.2, None, 0.4))})
    dots = Dots(1, "fixed", static([0.1, 1.0], [0.5, 0.6]), ("a", "b"), crossed=True)
    forest = tuple(
        Estimate(index, row, *values, text="words")
        for index, (row, values) in enumerate([(name, (1.2, 0.9, None)), ("fixed", (None, None, None))])
    )
    return Figure(
        key="some",
        title="Some figure",
        takeaway="It says so.",
        reading="Read it.",
        panels=(
            Panel(
                "curves",
                Axis("epochs", time=True),
                Axis("accuracy", percent=True),
                (curve, Rule("y", 0.2, "t")),
            ),
            Panel("dots", Axis("lr", log=True, switch=True), Axis("accuracy"), (dots,)),
            Panel(
                "forest",
                Axis("speedup", log=True, range=(0.5, 2.0)),
                Axis("", categories=(name, "fixed")),
                (Zone("x", 0.95, 1.05, "equivalent"), *forest),
            ),
        ),
        table=table(["schedule", "epoch", "value"], [[name, 1, 0.1], ["fixed", 2, None]]),
    )


def png_chunks(data: bytes) -> list[bytes]:
    chunks, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append(data[at + 4 : at + 8])
        at += 12 + length
    return chunks


def test_png_is_the_same_bytes_each_time_and_names_no_software_or_date():
    names = ["rule", "fixed"]
    first, second = (draw_png(some_figure(), names, looks(names, "fixed")) for _ in range(2))
    assert first == second
    assert not {b"tEXt", b"iTXt", b"tIME"} & set(png_chunks(first))


@pytest.mark.parametrize(
    "name", [HOSTILE, "$x_", "_hidden", "名前", 'a "quoted" name', "multi\nline", "%{x}" * 20]
)
def test_any_name_can_be_drawn(name):
    names = [name, "fixed"]
    assert draw_png(some_figure(name), names, looks(names, "fixed")).startswith(b"\x89PNG")


def test_figure_without_panels_is_refused():
    with pytest.raises(ValueError, match="no panels"):
        draw_png(Figure("empty", "t", "t", "r"), [], [])


def test_payload_is_strict_json_with_unmeasured_and_infinite_values_as_null():
    figure = Figure(
        "k",
        "t",
        "t",
        "r",
        (Panel("p", Axis("x"), Axis("y"), (Line(0, "a", static([1, 2, 3], [math.nan, math.inf, None])),)),),
    )
    text = json.dumps(payload([figure], ["a"], looks(["a"], None)), allow_nan=False)
    (mark,) = json.loads(text)["figures"][0]["panels"][0]["marks"]
    _, y, low, high = mark["points"][""]
    pool = json.loads(text)["pool"]
    assert pool[y] == [None, None, None]
    assert pool[low] == pool[high] == []


def test_payload_keeps_each_array_once():
    y = (0.1, 0.2, 0.3)
    points = {"epochs": Points((1, 2, 3), y), "steps": Points((10, 20, 30), y)}
    panels = (Panel("p", Axis("x", time=True), Axis("y"), (Line(0, "a", points),)),)
    data = payload([Figure("k", "t", "t", "r", panels)], ["a"], looks(["a"], None))
    assert data["pool"].count([0.1, 0.2, 0.3]) == 1


def test_long_table_is_thinned_in_the_page_but_not_in_its_file():
    numbers = table(["n"], [[n] for n in range(5001)])
    figure = Figure("k", "t", "t", "r", (), numbers)
    (shown,) = payload([figure], [], [])["figures"]
    assert [row[0] for row in shown["table"]["rows"]] == list(range(0, 5001, 3))
    assert csv_text(numbers).count("\r\n") == 5002


def test_time_switch_offers_only_times_that_are_there():
    data = payload([some_figure()], ["rule", "fixed"], looks(["rule", "fixed"], "fixed"))
    assert data["times"] == {"epochs": "epochs"}
    assert data["time"] == "epochs"


def test_json_in_a_script_element_holds_no_markup_letter_and_reads_back():
    data = {"name": "</script><!--" + HOSTILE + "&\u2028"}
    text = _json(data)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == data


def test_script_text_cannot_end_its_element():
    assert "</script" not in _script('"</script>" + "</SCRIPT>"').lower()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (0.1, "0.1"),
        (3.0, "3"),
        (1e-7, "1e-7"),
        (1.5e-5, "0.000015"),
        (1.25e21, "1.25e+21"),
        (1e20, "100000000000000000000"),
        (math.nan, "NaN"),
        (math.inf, "infinity"),
        (1 / 3, "0.3333333333"),
        (True, "true"),
    ],
)
def test_csv_numbers(value, written):
    assert csv_text(table(["name", "value"], [["a", value]])) == f"name,value\r\na,{written}\r\n"


def test_csv_quotes_what_needs_it():
    assert csv_text(table(["a,b", "c"], [['say "x"', "two\nlines"]])) == (
        '"a,b",c\r\n"say ""x""","two\nlines"\r\n'
    )


def test_reference_is_ink_and_every_schedule_differs_in_colour_dash_and_marker():
    names = [f"s{i}" for i in range(7)]
    found = looks(names, "s3")
    assert found[3].light == "#1a1a1a"
    assert found[3].dark != found[3].light
    assert len({look.light for look in found}) == len(names)
    assert len({look.marker for look in found}) == len(names)


def test_many_schedules_repeat_no_combination():
    found = looks([f"s{i}" for i in range(29)], "s0")
    assert len({(look.light, look.dash, look.marker) for look in found}) == 29
