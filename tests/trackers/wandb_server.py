"""A server that gives W&B's own client what it asks for about the runs of one project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

LAST_STEP = 2_499  # more rows than the client asks for at once
_CONFIG = {
    "seed": {"value": 3},
    "optimizer": {"value": {"name": "sgd", "betas": [0.9]}},
    "_wandb": {"value": {"cli_version": "0.31"}},
}


def history_row(step: int) -> dict[str, Any]:
    """One row as the server has it: JSON, in which NaN is a text."""
    row = {"_step": step, "_runtime": step / 10, "_timestamp": 1.7e9 + step, "loss": 1 / (step + 1)}
    if step % 100 == 99:
        row |= {"eval/loss": "NaN" if step == 199 else 2 / (step + 1), "image": {"_type": "image-file"}}
    return row


def _run(name: str) -> dict[str, Any]:
    return {
        "id": f"gid-{name}",
        "projectId": "1",
        "name": name,
        "displayName": f"run {name}",
        "tags": ["x"],
        "sweepName": None,
        "state": "finished",
        "group": "a",
        "jobType": None,
        "commit": None,
        "readOnly": False,
        "createdAt": "2026-01-01T00:00:00Z",
        "heartbeatAt": "2026-01-01T00:00:00Z",
        "description": "",
        "notes": "",
        "systemMetrics": "{}",
        "historyLineCount": LAST_STEP + 1,
        "historyKeys": {"lastStep": LAST_STEP, "keys": {}},
        "user": {"name": "me", "username": "me"},
        "config": json.dumps(_CONFIG),
        "summaryMetrics": json.dumps({"loss": 0.5, "_step": LAST_STEP}),
    }


def _answer(query: str, asked: dict[str, Any]) -> dict[str, Any]:
    if "viewer" in query:
        teams: dict[str, Any] = {"edges": []}
        return {
            "viewer": {
                "id": "1",
                "entity": "me",
                "username": "me",
                "email": "",
                "flags": "{}",
                "teams": teams,
            }
        }
    if asked.get("project") == "none":
        return {"project": None}
    if "runs(" in query:
        name = "r1" if asked["cursor"] else "r0"  # two pages
        page = {"endCursor": name, "hasNextPage": name == "r0"}
        edges = [{"node": _run(name), "cursor": name}]
        return {
            "project": {
                "internalId": "1",
                "runCount": 2,
                "readOnly": False,
                "runs": {"edges": edges, "pageInfo": page},
            }
        }
    run = _run(asked.get("name", "r0"))
    if "parquetHistory" in query:
        run["parquetHistory"] = {"parquetUrls": [], "liveData": []}
    if "history(" in query:
        last = min(asked["maxStep"], LAST_STEP + 1)
        run["history"] = [json.dumps(history_row(step)) for step in range(asked["minStep"], last)]
    return {"project": {"internalId": "1", "run": run}}


@contextmanager
def wandb_server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve a project with two runs; yield the address, and the variables of all that was asked for."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = b""
            if self.path == "/graphql":
                request = json.loads(body)
                asked = request.get("variables") or {}
                seen.append(asked)
                answer = json.dumps({"data": _answer(request["query"], asked)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
