"""A real Ray cluster on this machine: each node by ``ray start``, on free ports, loopback only."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def family(pid: int) -> list[int]:
    """A process and all that it has started, and those have."""
    children: dict[int, list[int]] = {}
    for one in _pids():
        children.setdefault(_parent(one), []).append(one)
    found = [pid]
    for one in found:  # which grows meanwhile
        found += children.get(one, [])
    return found


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        # The second field is the command's name in brackets, which may hold anything.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


class RayNodes:
    """A head with a job server, and the nodes that were added, with one CPU each unless told."""

    def __init__(
        self, folder: Path, environment: dict[str, str], dashboard: bool, cpus: int, *more: str
    ) -> None:
        self._folder = folder
        # A job's `python` is the one that runs the tests.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self._environment = {**os.environ, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0", **environment}
        self.processes: list[subprocess.Popen[bytes]] = []
        port, web = free_port(), free_port()
        self.address, self.server = f"127.0.0.1:{port}", f"http://127.0.0.1:{web}"
        words = [f"--port={port}", f"--ray-client-server-port={free_port()}", f"--temp-dir={folder}"]
        words += ["--dashboard-host=127.0.0.1", f"--dashboard-port={web}"]
        self._start("--head", *words, f"--include-dashboard={dashboard}", f"--num-cpus={cpus}", *more)

    def add(self, cpus: int = 1, *more: str) -> int:
        """Start a further node; returns its place in ``processes``."""
        self._start(f"--address={self.address}", f"--num-cpus={cpus}", *more)
        return len(self.processes) - 1

    def kill(self, place: int) -> None:
        """What the loss of a machine looks like: everything on it is gone at once."""
        process = self.processes[place]
        if process.poll() is not None:
            return
        for pid in family(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for place in reversed(range(len(self.processes))):
            self.kill(place)
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self, place: int) -> str:
        return (self._folder / f"node-{place}.log").read_text()

    def _start(self, *words: str) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words]
        command += ["--node-ip-address=127.0.0.1", "--object-store-memory=80000000", "--disable-usage-stats"]
        command += ["--min-worker-port=0", "--max-worker-port=0"]
        command += [f"--dashboard-agent-listen-port={free_port()}"]
        with (self._folder / f"node-{len(self.processes)}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(command, env=self._environment, stdout=log, stderr=subprocess.STDOUT)
            )
        self._wait_for_start(len(self.processes) - 1)

    def _wait_for_start(self, place: int) -> None:
        """Ray says so; two nodes that join at the same time may hinder each other for ever."""
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in self.log(place):
            assert self.processes[place].poll() is None, self.log(place)
            assert time.monotonic() < deadline, self.log(place)
            time.sleep(0.1)


@contextlib.contextmanager
def ray_nodes(
    environment: dict[str, str] | None = None,
    *,
    further: int = 0,
    dashboard: bool = True,
    more: Sequence[str] = (),
    cpus: int = 1,
) -> Iterator[RayNodes]:
    """A head with so many CPUs and some further nodes with one each; nothing of it is left afterwards."""
    # Ray's sockets lie in its folder, and their paths must be short.
    # A process that has once started Ray by itself talks to every later cluster with its own token, and a
    # cluster without one cannot answer it: its actors are lost without a cause.
    mode = os.environ.get("RAY_AUTH_MODE", "disabled")
    # Tune uses no worker that was started ahead.
    ahead = {"RAY_prestart_worker_first_driver": "0"}
    environment = {"RAY_AUTH_MODE": mode, **ahead, **(environment or {})}
    nodes = RayNodes(Path(tempfile.mkdtemp(prefix="ray-")), environment, dashboard, cpus, *more)
    try:
        for _ in range(further):
            nodes.add()
        yield nodes
    finally:
        nodes.close()
