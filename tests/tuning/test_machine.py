"""What keeps Ray from starting here is found before it starts, and said with the setting that causes it."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from lrstudy.tuning.cluster.machine import check_machine, provide_token, temporary_folder


@pytest.fixture(autouse=True)
def short_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")


def said() -> str:
    (problem,) = check_machine()
    return str(problem)


def test_a_usual_machine_has_no_problem() -> None:
    assert check_machine() == []


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_a_temporary_folder_too_long_for_a_socket_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setenv(name, "/tmp/" + "x" * 105)
    assert temporary_folder() == (Path("/tmp/" + "x" * 105), name)
    assert f"environment: {name} = '/tmp/xxx" in said()
    assert "bytes too long: Ray's sockets are below it" in said()
    assert "RAY_TMPDIR=/tmp" in said()


def test_the_limit_is_in_bytes_of_the_longest_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = len("/ray/session_2026-01-01_00-00-00_000000_/sockets/plasma_store") + len(str(os.getpid()))
    longest = "/tmp/" + "x" * (107 - fixed - len("/tmp/"))
    monkeypatch.setenv("RAY_TMPDIR", longest)
    try:
        assert check_machine() == []
    finally:
        (Path(longest) / "ray").rmdir()
        Path(longest).rmdir()
    monkeypatch.setenv("RAY_TMPDIR", longest[:-1] + "é")
    assert "is 1 bytes too long" in said()


@pytest.mark.parametrize("folder", ["/proc", "/dev/null", "/dev/null/x"])
def test_a_temporary_folder_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", folder)
    assert f"environment: RAY_TMPDIR = '{folder}': Ray cannot keep its files there" in said()


@pytest.mark.parametrize("folder", ["", "here"])
def test_a_temporary_folder_that_depends_on_the_current_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", folder)
    assert "is not an absolute path" in said()


@pytest.mark.parametrize(("limit", "fits"), [((64, 64), False), ((64, 4096), True), ((4096, 4096), True)])
def test_the_limit_of_open_files_is_raised_where_it_may_be(
    monkeypatch: pytest.MonkeyPatch, limit: tuple[int, int], fits: bool
) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: limit)
    monkeypatch.setattr(resource, "setrlimit", lambda which, pair: asked.append(pair))
    assert (check_machine() == []) is fits
    assert asked == ([(4096, 4096)] if limit == (64, 4096) else [])
    if not fits:
        assert "shell: ulimit -n = 64" in said()


def test_a_token_is_made_where_the_home_has_none_and_a_users_own_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def token() -> str | None:
        provide_token()
        return os.environ.get("RAY_AUTH_TOKEN")

    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert token() is None
    monkeypatch.delenv("RAY_AUTH_MODE")
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("mine")
    assert token() is None, "Ray reads it there"
    monkeypatch.setenv("HOME", "/proc")
    made = token()
    assert made
    assert len(made) == 64
    assert token() == made, "a process has one"
    del os.environ["RAY_AUTH_TOKEN"]  # monkeypatch would put it back at the end


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RAY_AUTH_MODE", "tokens", "RAY_AUTH_MODE = 'tokens': is not a mode of Ray"),
        ("RAY_AUTH_TOKEN_PATH", "/nowhere", "RAY_AUTH_TOKEN_PATH = '/nowhere': cannot be read: No such file"),
        ("RAY_AUTH_TOKEN_PATH", "/dev/null", "RAY_AUTH_TOKEN_PATH = '/dev/null': is empty"),
    ],
)
def test_settings_of_rays_token_that_cannot_work_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv(name, value)
    assert words in said()
