"""An S3-compatible server on this machine (moto's), and a proxy before it that fails as real ones do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from pyarrow import fs

BUCKET = "bucket"
_ANSWERS = {
    "500": (b"500 Internal Server Error", b"InternalError"),
    "503": (b"503 Slow Down", b"SlowDown"),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def s3_server() -> Iterator[int]:
    """Run a server with an empty bucket; yields its port and sets the credentials that it takes."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        place = f"127.0.0.1:{port}"
        there = fs.S3FileSystem(endpoint_override=place, scheme="http", allow_bucket_creation=True)
        there.create_dir(BUCKET)
        yield port
    finally:
        server.kill()
        server.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"no server at port {port}")
        time.sleep(0.1)


class FaultyProxy:
    """Pass connections on to a port; a share of them is refused, reset in mid-flight or answered 500 or 503.

    ``restart(seconds)`` refuses every connection for so long, as a server that restarts does.
    """

    def __init__(self, upstream: int, share: float, seed: int) -> None:
        self.port, self._upstream, self._share = free_port(), upstream, share
        self._random, self._down_until = random.Random(seed), 0.0
        self.faults = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        _wait_for(self.port)

    def restart(self, seconds: float) -> None:
        self._down_until = time.monotonic() + seconds

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if time.monotonic() < self._down_until:
            writer.transport.abort()
            return
        kind = None
        if self._random.random() < self._share:
            self.faults += 1
            kind = self._random.choice(["refuse", "reset", "500", "503"])
        if kind == "refuse":
            writer.transport.abort()
            return
        if kind in _ANSWERS:
            await reader.readuntil(b"\r\n\r\n")
            status, code = _ANSWERS[kind]
            body = b"<Error><Code>" + code + b"</Code><Message>injected</Message></Error>"
            head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/xml\r\nConnection: close\r\n"
            writer.write(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        limit = self._random.randint(100, 4000) if kind == "reset" else None
        ways = [
            asyncio.ensure_future(self._pipe(reader, up_writer, limit)),
            asyncio.ensure_future(self._pipe(up_reader, writer, limit)),
        ]
        # A life of a few seconds: clients keep connections, and each new one may meet a fault.
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        for way in ways:
            way.cancel()
        up_writer.close()
        if kind == "reset":
            writer.transport.abort()

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                passed += len(chunk)
                if limit is not None and passed > limit:
                    return
                writer.write(chunk)
                await writer.drain()


@contextlib.contextmanager
def faulty_proxy(upstream: int, *, share: float, seed: int = 0) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(upstream, share, seed)
    try:
        yield proxy
    finally:
        proxy.close()
