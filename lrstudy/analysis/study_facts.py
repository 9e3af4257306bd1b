"""The task of a study in a line, and the facts on where it ran."""

from __future__ import annotations

from typing import Any


def task_of(study: Any) -> str:
    """Return the names of the parts of a study's task, in a line."""
    task = study.spec["task"]
    parts = [task.get(part) for part in ("train", "dataset", "model", "optimizer")]
    names = [str(part.get("name")) if isinstance(part, dict) else str(part) for part in parts if part]
    return ", ".join(names)


def facts_of(study: Any) -> tuple[tuple[str, str], ...]:
    """Return where, with what and from what a study was run, as pairs of words."""
    hardware = study.hardware
    imported = study.spec.get("imported")
    facts = [("recorded in", ", ".join(imported["files"]))] if imported else [("seed", str(study.seed))]
    if hardware.get("cpu"):
        facts.append(("processor", f"{hardware['cpu']}, {hardware.get('cpus')} cores"))
    if hardware.get("gpus"):
        facts.append(("GPU", ", ".join(hardware["gpus"])))
    facts += [(name, version) for name, version in study.versions.items()]
    if study.git_commit:
        facts.append(("commit", study.git_commit))
    return tuple(facts)
