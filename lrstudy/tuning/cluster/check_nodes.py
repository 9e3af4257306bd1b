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


def check_reach(store: Location) -> None:
    """Check from every node; raises ``ClusterError`` that names those which cannot write."""
    here = ray.get_runtime_context().get_node_id()
    nodes: Callable[[], list[dict[str, Any]]] = ray.nodes  # Ray gives it no types
    others = [node for node in nodes() if node["Alive"] and node["NodeID"] != here]
    if not others:
        return
    content = (store / _STUDY).read()
    task: Any = ray.remote(num_cpus=0, max_retries=0)(unreachable)
    looks = {}
    for node in others:
        on_node = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        looks[node["NodeID"]] = task.options(scheduling_strategy=on_node).remote(
            store, content, node["NodeID"]
        )
    problems = []
    for node in others:
        name = f"{node['NodeManagerHostname']}/{node['NodeID'][:8]}"
        try:
            said = ray.get(looks[node["NodeID"]], timeout=_SECONDS)
        except (RayError, TimeoutError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if said is not None:
            problems.append(_problem(store, name, said))
    if problems:
        raise ClusterError(problems)


def unreachable(store: Location, content: bytes, mark: str) -> str | None:
    """Return why this process cannot use the folder whose ``study.json`` has this content; None if it can."""
    try:
        if not (store / _STUDY).exists() or (store / _STUDY).read() != content:
            return "the folder is missing on that node, or is another one"
        probe = store / f".probe-{mark}"
        probe.write(b"")
        probe.delete()
    except StoreError as error:
        return error.problems[0].message
    return None


def _problem(store: Location, node: str, said: str) -> Problem:
    message = f"node {node} cannot write to it, and trials save checkpoints there ({said})"
    remedy = (
        "Give a mount that all nodes share or a URI such as s3://bucket/runs, "
        "or turn checkpoints off: faults.checkpoint_epochs = 0."
    )
    return Problem("--out", "", message, remedy, str(store))
