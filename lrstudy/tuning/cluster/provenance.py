"""The provenance of a study, kept in its ``study.json``: versions, hardware, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from lrstudy.spec import Study
from lrstudy.store import StudyInfo
from lrstudy.tuning.gpus import apple_gpu
from lrstudy.version import __version__

_PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy", "scikit-learn", "pyarrow")


def study_info(study: Study, fingerprints: Mapping[str, Any] | None = None) -> StudyInfo:
    """Return the content of ``study.json``. ``fingerprints`` are those of the study's data and model."""
    return StudyInfo(
        name=study.name,
        spec=study.to_json(),
        spec_hash=study.spec_hash,
        seed=study.seed,
        versions=_versions(),
        git_commit=_git_commit(),
        hardware=_hardware(),
        fingerprints=dict(fingerprints or {}),
    )


def _versions() -> dict[str, str]:
    versions = {"lrstudy": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _git_commit() -> str | None:
    """Return the commit of the current folder, marked if it has uncommitted changes; None without git."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10)  # noqa: S603, S607 - fixed arguments
    return done.stdout.strip()


def _hardware() -> dict[str, Any]:
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    gpus += [f"{platform.machine()} mps"] if apple_gpu() else []
    return {"cpu": _cpu_name(), "cpus": os.cpu_count(), "gpus": gpus, "system": platform.system()}


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a kernel file
            names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(names, platform.machine())
    except OSError:
        return platform.processor() or platform.machine()
