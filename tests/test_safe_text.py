"""Text from users' code is fit for every place it goes to."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lrstudy.safe_text import describe, safe_text, text_of, traceback_text


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=300))
def test_any_text_can_be_stored_and_printed(text: str) -> None:
    safe = safe_text(text)
    safe.encode("utf-8")
    assert all(c.isprintable() or c in "\n\t" for c in safe)


@given(st.text(alphabet=st.characters(categories=("L", "N", "P"), include_characters=" \n\t"), max_size=300))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert safe_text(text) == text


def test_long_text_keeps_its_two_ends() -> None:
    text = safe_text("start" + "x" * 10_000_000 + "the end")
    assert len(text) < 21_000
    assert text.startswith("start")
    assert text.endswith("the end")
    assert "left out" in text


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError


class NoTextError(Exception):
    def __str__(self) -> str:
        return 3  # type: ignore[return-value]


def test_an_exception_without_a_text_is_told_by_its_type() -> None:
    assert describe(MuteError()) == "MuteError: <MuteError whose text cannot be had>"
    assert text_of(NoTextError()) == "<NoTextError whose text cannot be had>"
    assert describe(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_a_traceback_tells_the_members_of_a_group_and_the_causes() -> None:
    inner = ExceptionGroup("inner", [RuntimeError("innermost"), OSError("caf\udce9")])
    told = traceback_text(ExceptionGroup("outer", [inner]), "/nowhere")
    for part in ("outer", "inner", "RuntimeError: innermost", "OSError: caf\\udce9"):
        assert part in told
    last = RuntimeError("the end")
    last.__cause__ = OSError("the cause")
    told = traceback_text(last, "/nowhere")
    assert told.index("OSError: the cause") < told.index("RuntimeError: the end")


def test_the_own_frames_before_the_users_are_left_out() -> None:
    try:
        Path("/nowhere/at all").read_text()
    except OSError as error:
        whole, without = traceback_text(error, "/nowhere"), traceback_text(error, str(Path(__file__).parent))
    assert Path(__file__).name in whole
    assert Path(__file__).name not in without
    assert without.startswith(f'File "{Path(sys.modules["pathlib"].__file__ or "").parent}')
