"""Studies as jobs of a real job server that asks for a token."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_studies import write_study
from ray._raylet import AuthenticationTokenLoader, Config
from ray_nodes import RayNodes, free_port, ray_nodes
from typer.testing import CliRunner, Result

import lrstudy.cli.commands
from lrstudy.cli import app
from lrstudy.store import open_store
from lrstudy.tuning.cluster import job_client as jobs

TOKEN = "a-token-of-the-cluster-0123456789abcdef"
SECRET = "only-the-job-may-know-this"


def use_token(patch: pytest.MonkeyPatch, token: str) -> None:
    """As a new process would that has this token in its environment: Ray reads it once."""
    patch.setenv("RAY_AUTH_MODE", "token")
    patch.setenv("RAY_AUTH_TOKEN", token)
    read_again()


def read_again() -> None:
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayNodes]:
    with ray_nodes({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}) as nodes:
        yield nodes


@pytest.fixture
def token() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        use_token(patch, TOKEN)
        yield patch
    read_again()


def lrstudy(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.cluster
def test_a_submitted_study_is_run_followed_listed_and_stopped(
    cluster: RayNodes, token: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write_study(tmp_path / "project" / "studies", seconds=0.0, epochs=2, trials=1, seeds=1)
    where = ["--address", cluster.server]
    to = ["--working-dir", str(tmp_path / "project"), "--out", str(tmp_path / "runs")]
    token.setenv("MY_SECRET", SECRET)
    environment = ["--env", "MY_SECRET", "--env", "SLOW_NET=0"]
    told = lrstudy("submit", str(file), *where, *to, *environment, "--submission-id", "first", "--follow")
    assert told.exit_code == 0, told.output
    assert "submitted first" in told.output
    assert "fixed" in told.stdout, "the study's verdict is in the job's output"
    assert "first: succeeded" in told.output
    assert len(open_store(tmp_path / "runs" / "slow").trial_records()) == 4
    assert SECRET.encode() not in told.output.encode() + everything_in(tmp_path / "runs")

    again = lrstudy("submit", str(file), *where, *to, "--submission-id", "first")
    assert (again.exit_code, "a job of this name exists" in again.output) == (2, True), again.output

    endless = [*to[:-1], str(tmp_path / "endless"), "--set", "task.epochs=5000", "--submission-id", "second"]
    told = lrstudy("submit", str(file), *where, *endless, *environment)
    assert told.exit_code == 0, told.output
    follow = f"lrstudy jobs logs second --follow --address {cluster.server}"
    assert f"its output: {follow}" in told.output

    # A shell that starts tests in the background has them ignore Ctrl-C, and what they start after them.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    watching = subprocess.Popen(
        [sys.executable, "-m", *follow.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    signal.signal(signal.SIGINT, ours)
    assert watching.stdout is not None
    assert watching.stdout.readline(), "it shows what the job prints"
    watching.send_signal(signal.SIGINT)
    said = watching.communicate(timeout=60)[1]
    assert (watching.returncode, f"second keeps running; to see its output again: {follow}" in said) == (
        130,
        True,
    ), said

    listed = lrstudy("jobs", "list", *where)
    assert re.search(r"second +running +slow", listed.output), listed.output
    assert re.search(r"first +succeeded +slow", listed.output)
    assert SECRET not in listed.output + lrstudy("jobs", "list", "--json", *where).output
    told = lrstudy("jobs", "stop", "second", *where)
    assert (told.exit_code, told.output) == (0, "asked second to stop\n")
    told = lrstudy("jobs", "logs", "nobody", *where)
    assert (told.exit_code, "no job has this name" in told.output) == (2, True), told.output

    use_token(token, "not-the-cluster-s-0123456789abcdef")
    refused = lrstudy("jobs", "list", *where)
    assert (refused.exit_code, "refuses: Authentication failed" in refused.output) == (2, True), (
        refused.output
    )
    assert "RAY_AUTH_TOKEN" in refused.output
    token.setenv("RAY_AUTH_MODE", "disabled")
    read_again()
    without = lrstudy("jobs", "list", *where)
    assert (without.exit_code, "refuses: Authentication required" in without.output) == (2, True)


def test_where_no_server_answers_the_address_is_named() -> None:
    dead = lrstudy("jobs", "list", "--address", f"http://127.0.0.1:{free_port()}")
    assert (dead.exit_code, "no job server answers: Connection refused" in dead.output) == (2, True)
    wrong = lrstudy("jobs", "list", "--address", "127.0.0.1:6379")
    assert (wrong.exit_code, "is not a job server's address" in wrong.output) == (2, True)


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray.dashboard.modules.job.sdk as sdk

    monkeypatch.setattr(jobs, "_reach", lambda address: None)
    monkeypatch.setattr(sdk, "requests", None)
    told = lrstudy("jobs", "list", "--address", "http://head:8265")
    assert (told.exit_code, "pip install 'lrstudy[cluster]'" in told.output) == (2, True), told.output


def test_modules_that_hide_pythons_own_are_not_submitted(tmp_path: Path) -> None:
    file = write_study(tmp_path)
    for name in ("timeit.py", "mine.py", "test.py"):
        (tmp_path / name).touch()
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "__init__.py").touch()
    (tmp_path / "json").mkdir()  # without modules it hides nothing
    where = ("--address", "http://127.0.0.1:1", "--out", "/runs", "--working-dir", str(tmp_path))
    told = lrstudy("submit", str(file), *where)
    assert told.exit_code == 2
    for name in ("timeit.py", "queue"):
        assert f"{name} in it hides Python's own module of this name from the job" in told.output
    assert told.output.count("hides Python's own module") == 2


def test_all_that_is_wrong_with_a_submission_is_told_at_once_and_no_value(tmp_path: Path) -> None:
    file = write_study(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    told = lrstudy(
        *("submit", str(file), "--address", "http://127.0.0.1:1", "--out", "runs", "--reports", "reports"),
        *("--working-dir", str(tmp_path / "elsewhere"), "--env", f"={SECRET}", "--env", "NOT_SET_HERE"),
    )
    assert told.exit_code == 2
    for words in (
        "does not contain the study file",
        "--out: 'runs': is relative",
        "--reports: 'reports'",
        "NOT_SET_HERE",
    ):
        assert words in told.output, told.output
    assert "has no name before its =" in told.output
    assert SECRET not in told.output
