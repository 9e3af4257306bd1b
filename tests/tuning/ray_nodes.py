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
from collections.abc import Iterator
from pathlib import Path

import psutil


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class RayNodes:
    """A head with a job server, and the nodes that were added, with one CPU each unless told."""

    def __init__(self, folder: Path, environment: dict[str, str], cpus: int = 1, *more: str) -> None:
        self._folder = folder
        # A job's `python` is the one that runs the tests.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self._environment = {**os.environ, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0", **environment}
        self.processes: list[subprocess.Popen[bytes]] = []
        port, dashboard = free_port(), free_port()
        self.address, self.server = f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}"
        dashboards = [
            "--include-dashboard=true",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={dashboard}",
        ]
        ports = [f"--port={port}", f"--ray-client-server-port={free_port()}"]
        self._start("--head", *ports, *dashboards, f"--temp-dir={folder}", f"--num-cpus={cpus}", *more)
        self._wait_for(port, 0)
        self._wait_for(dashboard, 0)

    def add(self, cpus: int = 1, *more: str) -> int:
        """Start a further node; returns its place in ``processes``."""
        self._start(f"--address={self.address}", f"--num-cpus={cpus}", *more)
        return len(self.processes) - 1

    def kill(self, place: int) -> None:
        """What the loss of a machine looks like: everything on it is gone at once."""
        process = self.processes[place]
        if process.poll() is not None:
            return
        parent = psutil.Process(process.pid)
        for one in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
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

    def _wait_for(self, port: int, place: int) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.processes[place].poll() is None, self.log(place)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError(f"nothing listens at {port} after two minutes\n{self.log(place)}")


@contextlib.contextmanager
def ray_nodes(environment: dict[str, str] | None = None, further: int = 0) -> Iterator[RayNodes]:
    """A head with one CPU and some further nodes with one each; nothing of it is left afterwards."""
    # Ray's sockets lie in its folder, and their paths must be short.
    nodes = RayNodes(
        Path(tempfile.mkdtemp(prefix="ray-")), {"RAY_AUTH_MODE": "disabled", **(environment or {})}
    )
    try:
        for _ in range(further):
            nodes.add()
        yield nodes
    finally:
        nodes.close()
