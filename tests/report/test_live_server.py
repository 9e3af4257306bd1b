"""The live page without a browser: who gets an answer, what it says of the run, and how the command ends."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import growing_run
import pytest
from growing_run import PLANNED, append, numbers, study
from pyarrow import fs

from lrstudy.errors import InputError, StoreError
from lrstudy.report import live_page
from lrstudy.report.live import LiveServer
from lrstudy.report.live_page import LivePage
from lrstudy.store import Location, Store, StoreWriter, open_location, open_store
from lrstudy.store.lease import Timing
from lrstudy.store.lock import WriterWatch

EVERY = 0.05


class Client:
    """Requests to the server of one address, each over a new connection."""

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)

    def get(
        self, path: str = "/", query: str | None = None, host: str | None = None, method: str = "GET"
    ) -> Any:
        connection = http.client.HTTPConnection(self._parts.hostname or "", self._parts.port or 0, timeout=60)
        headers = {} if host is None else {"Host": host}
        where = f"{path}?{self._parts.query if query is None else query}"
        connection.request(method, where, headers=headers)
        answer = connection.getresponse()
        content = answer.read().decode()
        connection.close()
        return SimpleNamespace(status=answer.status, text=content, headers=answer.headers)

    def state(self, version: int = 0) -> Any:
        return json.loads(self.get("/state", f"{self._parts.query}&version={version}").text)

    def wait_for(self, found: Callable[[Any], bool]) -> Any:
        for _ in range(600):
            if found(state := self.state()):
                return state
            threading.Event().wait(0.1)
        raise TimeoutError(state["words"])


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[StoreWriter]:
    with StoreWriter.create_or_open(tmp_path / "run", study()) as writer:
        yield writer


@pytest.fixture
def serve() -> Iterator[Callable[..., Client]]:
    """Serves the live page of a store until the end of the test."""
    servers = []

    def served(store: Store, host: str = "127.0.0.1", watch: WriterWatch | None = None) -> Client:
        server = LiveServer(LivePage(store, EVERY, watch), host)
        servers.append(server)
        server.start()
        return Client(server.address.replace("0.0.0.0", "127.0.0.1"))

    yield served
    for server in servers:
        server.close()


def test_only_a_get_request_with_the_token_and_a_name_of_this_machine_is_answered(
    writer: StoreWriter, serve: Callable[..., Client], tmp_path: Path
) -> None:
    client = serve(open_store(tmp_path / "run"))
    whole = client.get()
    assert (whole.status, whole.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (whole.headers["Cache-Control"], whole.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert client.state()["kind"] == "running"
    for path in ("/", "/state", "/study.json"):
        for query in ("", "token=", "token=x", "token=%ff%C3%A9"):
            refused = client.get(path, query)
            assert (refused.status, "growing" in refused.text) == (403, False), (path, query)
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "8.8.8.8", "", "[::", "a@b"):
        assert client.get(host=host).status == 403, host
    for host in ("localhost", "LOCALHOST:9", "127.0.0.2", "[::1]:8"):
        assert client.get(host=host).status == 200, f"{host}: a tunnel's port may be another one"
    for path in ("/trials/", "/study.json", "/../run/study.json", "/state/"):
        assert client.get(path).status == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"):
        assert client.get(method=method).status == 405, method
    for version in ("x", "-1", "9" * 5000, "%C2%B2"):
        assert client.state(version)["page"], version  # type: ignore[arg-type]


def test_another_host_is_served_only_if_it_is_given(
    writer: StoreWriter, serve: Callable[..., Client], tmp_path: Path
) -> None:
    client = serve(open_store(tmp_path / "run"), host="0.0.0.0")
    for host in ("10.0.0.7:80", socket.gethostname(), "localhost"):
        assert client.get(host=host).status == 200, host
    assert client.get(host="evil.example").status == 403


def test_the_state_follows_the_run_to_its_end(
    writer: StoreWriter, serve: Callable[..., Client], tmp_path: Path
) -> None:
    client = serve(open_store(tmp_path / "run"))
    first = client.state()
    assert "No verdict yet: no trial has ended." in first["page"]["body"]
    assert first["words"].startswith(f"Running: 0 of {PLANNED} trials done.")
    assert "page" not in client.state(first["version"]), "the reader has it"
    trials = numbers()
    for trial in trials[:-1]:
        append(writer, *trial)
    later = client.wait_for(lambda state: f"{PLANNED - 1} of {PLANNED}" in state["words"])
    assert later["version"] > first["version"]
    assert "So far: " in later["page"]["body"]
    assert "Trials so far" in later["page"]["body"]
    assert any(figure["panels"] for figure in later["page"]["data"]["figures"])
    append(writer, *trials[-1])
    client.wait_for(lambda state: "the run is about to end" in state["words"])
    writer.close()
    over = client.wait_for(lambda state: state["kind"] == "over")
    assert over["words"] == f"The run is over: {PLANNED} of {PLANNED} trials done. The verdict is final."
    assert "So far: " not in over["page"]["body"]
    assert "Trials so far" not in over["page"]["body"]


def test_a_run_whose_driver_is_gone_says_so_and_how_to_continue(
    writer: StoreWriter, serve: Callable[..., Client], tmp_path: Path
) -> None:
    append(writer, *numbers()[0])
    client = serve(open_store(tmp_path / "run"))
    assert client.state()["kind"] == "running"
    writer.close()
    stopped = client.wait_for(lambda state: state["kind"] == "stopped")
    assert stopped["words"].endswith(
        f"1 of {PLANNED} trials done. To continue: lrstudy resume {tmp_path}/run"
    )
    with StoreWriter.create_or_open(tmp_path / "run", study()) as again:
        append(again, *numbers()[1])
        client.wait_for(lambda state: state["words"].startswith(f"Running: 2 of {PLANNED}"))


def test_a_driver_on_another_machine_counts_as_killed_once_its_beat_stays_the_same(tmp_path: Path) -> None:
    place = Location(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "run", "hdfs://run")
    writer = StoreWriter.create_or_open(place, study())
    writer.close()
    claim = tmp_path / "run" / ".writer" / "1-a.claim"
    claim.parent.mkdir(exist_ok=True)
    claim.write_text(json.dumps({"host": "far", "pid": 1, "kernel": "other", "started": "1"}))
    beat = claim.with_suffix(".beat")
    beat.write_text('{"beat": 1, "holds": true}')
    watch = WriterWatch(place, Timing(lease=0.2))
    assert "far" in str(watch.holder())
    beat.write_text('{"beat": 2, "holds": true}')
    assert "far" in str(watch.holder())
    threading.Event().wait(0.3)
    assert watch.holder() is None
    assert "far" in str(WriterWatch(place, Timing(lease=0.2)).holder()), "one look alone cannot tell"


def test_a_store_that_cannot_be_read_for_a_while_keeps_the_page(
    writer: StoreWriter, serve: Callable[..., Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(open_store(tmp_path / "run"))

    def fails(*_: Any) -> None:
        raise StoreError([])

    with monkeypatch.context() as patch:
        patch.setattr(Store, "fingerprint", fails)
        unread = client.wait_for(lambda state: state["kind"] == "unreadable")
        assert "No verdict yet" in unread["page"]["body"]
    client.wait_for(lambda state: state["kind"] == "running")


def test_pages_are_built_after_changes_only_and_with_rests(
    writer: StoreWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    summed_up = live_page.analyse
    monkeypatch.setattr(live_page, "analyse", lambda store: built.append(1) or summed_up(store))
    page, looks = LivePage(open_store(tmp_path / "run"), 0.0), iter(range(200))
    page.keep_current(lambda: next(looks) == 100)
    assert len(built) == 1, "nothing has changed"
    monkeypatch.setattr(live_page, "_REST", 1e6)
    for trial in numbers()[:2]:
        append(writer, *trial)
        page.keep_current(lambda: next(looks) % 10 == 9)
    assert len(built) == 3
    looks = iter(range(10))

    def one_more() -> bool:
        place = next(looks)
        if place == 1:
            append(writer, *numbers()[2])
        if place == 4:
            append(writer, *numbers()[3])
        return place == 9

    page.keep_current(one_more)
    assert len(built) == 4, "the second change comes within the rest"


def test_a_store_on_s3_is_served_and_a_killed_driver_is_noticed(
    serve: Callable[..., Client],
    endpoint: str,
) -> None:
    program = [sys.executable, growing_run.__file__, "s3://bucket/live", endpoint]
    driver = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "written\n"
        client = serve(open_store(open_location("s3://bucket/live", endpoint)))
        assert client.state()["words"].startswith(f"Running: {PLANNED // 2} of {PLANNED} trials done")
    finally:
        driver.kill()
        driver.wait()
        driver.stdout.close()
    assert client.wait_for(lambda state: state["kind"] == "stopped")
    with StoreWriter.create_or_open(open_location("s3://bucket/live", endpoint), study()) as writer:
        for trial in numbers()[PLANNED // 2 :]:
            append(writer, *trial)
    client.wait_for(lambda state: state["kind"] == "over")


def test_ctrl_c_ends_the_command_at_once_and_frees_its_port(writer: StoreWriter, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lrstudy", "watch", "run"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.fullmatch(r"run: (http://127\.0\.0\.1:(\d+)/\?token=[\w-]{32})\n", line)
        assert found, line
        client = Client(found[1])
        assert client.state()["kind"] == "running"
        with pytest.raises(InputError, match="cannot be used: Address already in use"):
            LiveServer(LivePage(open_store(tmp_path / "run"), EVERY), port=int(found[2]))
        assert process.stdout.readline() == "Ctrl-C ends the page, not the run.\n"
    finally:
        process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", None)
    assert process.returncode == 0
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(found[2])))
