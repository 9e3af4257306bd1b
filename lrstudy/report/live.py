"""A web server for one live page, on this machine alone unless another host is given.

It answers GET requests for two addresses, ``/`` and ``/state``, to clients that know its token. A page of
another site cannot read it: it has no token, and a request whose Host header is another site's name is
refused (DNS rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from lrstudy.errors import InputError, Problem
from lrstudy.report.live_page import LivePage

LOOPBACK: Final = "127.0.0.1"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # a link that leaves the page must not carry the token
    "X-Content-Type-Options": "nosniff",
}


class LiveServer:
    """The server of a page; it answers from ``start`` until ``close``.

    Raises ``InputError`` if the port cannot be used. Port 0 is any free one.
    """

    def __init__(self, page: LivePage, host: str = LOOPBACK, port: int = 0) -> None:
        self._page, self._token = page, secrets.token_urlsafe(24)
        self._ended = threading.Event()
        try:
            self._server = _server_of(host)((host, port), self._handler(host))
        except (OSError, OverflowError) as error:
            message = f"cannot be used: {getattr(error, 'strerror', None) or error}"
            remedy = "Choose another, or leave --port out: a free one is then taken."
            raise InputError(
                Problem("command line", f"--host {host} --port", message, remedy, port)
            ) from error
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self._server.server_address[1]}/?token={self._token}"

    def start(self) -> None:
        """Answer requests and keep the page current, in threads that end with the process."""
        for name, work in (
            ("lrstudy-live-server", lambda: self._server.serve_forever(poll_interval=0.1)),
            ("lrstudy-live-page", lambda: self._page.keep_current(self._ended.is_set)),
        ):
            threading.Thread(target=work, name=name, daemon=True).start()

    def close(self) -> None:
        """Stop answering and free the port."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self, host: str) -> type[BaseHTTPRequestHandler]:
        page, token, allowed = self._page, self._token, _allowed_hosts(host)

        class Handler(_Handler):
            def answer(self, address: str, query: dict[str, list[str]]) -> tuple[HTTPStatus, str, str]:
                if not allowed(self.headers.get("Host", "")):
                    return HTTPStatus.FORBIDDEN, "text/plain", "This server has no such name.\n"
                given = query.get("token", [""])[0]
                if not hmac.compare_digest(given.encode(), token.encode()):
                    words = "Open the whole address that lrstudy watch printed: it ends with a token.\n"
                    return HTTPStatus.FORBIDDEN, "text/plain", words
                if address == "/":
                    return HTTPStatus.OK, "text/html", page.html()
                if address == "/state":
                    version = query.get("version", [""])[0]
                    known = int(version) if version.isdecimal() and len(version) < _DIGITS else 0
                    return HTTPStatus.OK, "application/json", page.state(known)
                return HTTPStatus.NOT_FOUND, "text/plain", "There is no such page.\n"

        return Handler


_DIGITS: Final = 10


class _Handler(BaseHTTPRequestHandler):
    """Answers one request with a whole text; knows no method but GET."""

    # HTTP/1.0: a connection for each request, so that none is left open when the server ends.
    server_version, sys_version = "lrstudy", ""
    timeout = 30  # of a client that says nothing

    def answer(self, address: str, query: dict[str, list[str]]) -> tuple[HTTPStatus, str, str]:
        """Return the status, type and text of the answer to an address."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer a request."""
        path, _, query = self.path.partition("?")
        self._send(*self.answer(path, parse_qs(query)))

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", "Only GET is answered.\n", {"Allow": "GET"})

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def _send(self, status: HTTPStatus, kind: str, text: str, more: dict[str, str] | None = None) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in (_HEADERS | (more or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *values: Any) -> None:  # noqa: A002 - http.server's name
        """Write no log: its lines would hold the token."""


def _server_of(host: str) -> type[ThreadingHTTPServer]:
    """Return the kind of server for a host: IPv6 needs another kind of socket."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of a client that is gone."""

    return Server


def _allowed_hosts(bound: str) -> Callable[[str], bool]:
    """Return the test of a Host header: names that cannot belong to another site.

    An address is no name, so that a browser that sends one was given one. The port may be a tunnel's.
    """
    loopback = _is_loopback(bound)
    names = {"localhost", bound.lower()}
    if not loopback:
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def allowed(header: str) -> bool:
        try:
            name = (urlsplit(f"//{header}").hostname or "").lower()
        except ValueError:
            return False
        return name in names or (_is_loopback(name) if loopback else _is_address(name))

    return allowed


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)
