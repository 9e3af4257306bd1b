"""The check that every node of a cluster can write to the study's folder, where trials save checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lrstudy.errors import ClusterError, Problem, StoreError
from lrstudy.store import Location

_SECONDS: Final = 60.0
_STUDY: Final = "study.json"


def check_nodes_write(store: Location) -> None:
    """Check from every node; raises ``ClusterError`` with the names of the nodes that cannot write."""
    here = ray.get_runtime_context().get_node_id()
    nodes: Callable[[], list[dict[str, Any]]] = ray.nodes  # Ray does not annotate it
    others = [node for node in nodes() if node["Alive"] and node["NodeID"] != here]
    if not others:
        return
    content = (store / _STUDY).read()
    task: Any = ray.remote(num_cpus=0, max_retries=0)(why_not_writable)
    answers = {}
    for node in others:
        on_node = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        answers[node["NodeID"]] = task.options(scheduling_strategy=on_node).remote(
            store, content, node["NodeID"]
        )
    problems = []
    for node in others:
        name = f"{node['NodeManagerHostname']}/{node['NodeID'][:8]}"
        try:
            cause = ray.get(answers[node["NodeID"]], timeout=_SECONDS)
        except (RayError, TimeoutError) as error:
            cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if cause is not None:
            problems.append(_problem(store, name, cause))
    if problems:
        raise ClusterError(problems)


def why_not_writable(store: Location, content: bytes, mark: str) -> str | None:
    """Return the reason why this process cannot write to the folder, or None.

    ``content`` is that of the folder's ``study.json``, ``mark`` makes the name of the test file unique.
    """
    try:
        if not (store / _STUDY).exists() or (store / _STUDY).read() != content:
            return "the folder is missing on that node, or is another one"
        probe = store / f".probe-{mark}"
        probe.write(b"")
        probe.delete()
    except StoreError as error:
        return error.problems[0].message
    return None


def _problem(store: Location, node: str, cause: str) -> Problem:
    message = f"node {node} cannot write to it, and trials save checkpoints there ({cause})"
    remedy = (
        "Give a mount that all nodes share or a URI such as s3://bucket/runs, "
        "or turn checkpoints off: faults.checkpoint_epochs = 0."
    )
    return Problem("--out", "", message, remedy, str(store))
