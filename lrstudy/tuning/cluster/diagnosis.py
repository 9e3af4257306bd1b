"""Checks of the machine and of a cluster for ``lrstudy doctor``: each is ok, a note, or a fault."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lrstudy.errors import LrStudyError
from lrstudy.tuning.cluster.extras import extras_of

State = Literal["ok", "note", "fault"]

_OLDEST: Final = (3, 11)
# A study writes megabytes; Ray's files and object store need more.
_SPACE: Final = 2**30
_MEMORY: Final = 2 * 2**30


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check: its name, its state, the observation, and the remedy of a fault."""

    name: str
    state: State
    seen: str
    remedy: str = ""


def diagnose(out: str, root: Path | None, address: str | None) -> Iterator[CheckResult]:
    """Check everything that a study needs, the quick checks first; changes nothing."""
    yield _python()
    yield from _packages()
    yield _accelerator()
    yield _memory()
    yield _space("runs", out)
    yield _folder(out)
    yield from _data(root)
    yield _ray(address)


def _python() -> CheckResult:
    seen = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < _OLDEST:
        return CheckResult("Python", "fault", seen, "Use Python 3.11 or later.")
    return CheckResult("Python", "ok", seen)


def _packages() -> Iterator[CheckResult]:
    for name in ("lrstudy", "torch", "torchvision", "ray", "optuna", "pyarrow"):
        try:
            yield CheckResult(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield CheckResult(name, "fault", "not installed", "Install lrstudy again: pip install lrstudy")
    try:
        extras = extras_of(importlib.metadata.distribution("lrstudy"))
    except importlib.metadata.PackageNotFoundError:
        return  # a fault above
    installed, missing = ([name for name, has in extras.items() if has is which] for which in (True, False))
    remedy = f"To install the others: pip install 'lrstudy[{','.join(missing)}]'" if missing else ""
    yield CheckResult("extras", "note" if missing else "ok", ", ".join(installed) or "none", remedy)


def _accelerator() -> CheckResult:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
        return CheckResult("GPU", "ok", f"{', '.join(names)}; CUDA {torch.version.cuda}")
    if torch.backends.mps.is_available():
        return CheckResult("GPU", "ok", "Apple's, through torch's MPS; trials use it with resources.gpus")
    if shutil.which("nvidia-smi"):
        remedy = "Compare nvidia-smi's driver with torch.version.cuda; install the torch that fits it."
        return CheckResult("GPU", "fault", "a driver is installed, but torch does not see a GPU", remedy)
    return CheckResult("GPU", "note", f"none; trials run on {os.cpu_count()} CPU cores")


def _memory() -> CheckResult:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # only Linux has this file
        return CheckResult("memory", "note", "unknown")
    if free < _MEMORY:
        return CheckResult(
            "memory", "fault", f"{_gib(free)} free", "Free some: each of Ray's workers needs 0.5 GiB."
        )
    return CheckResult("memory", "ok", f"{_gib(free)} free")


def _space(name: str, out: str) -> CheckResult:
    """Check the free space for runs and for Ray's temporary files."""
    from lrstudy.tuning.cluster.machine import temporary_folder

    places = {"Ray's temporary files": _existing(temporary_folder()[0])}
    if "://" not in out:
        places[name] = _existing(Path(out))
    free = {what: shutil.disk_usage(place).free for what, place in places.items()}
    seen = ", ".join(f"{what}: {_gib(bytes_)} free" for what, bytes_ in free.items())
    if min(free.values()) < _SPACE:
        return CheckResult("disk", "fault", seen, "Free some space, or choose another --out or RAY_TMPDIR.")
    return CheckResult("disk", "ok", seen)


def _folder(out: str) -> CheckResult:
    from lrstudy.store import open_location

    try:
        open_location(out).check_writable()
    except LrStudyError as error:
        return CheckResult("--out", "fault", str(error))
    return CheckResult("--out", "ok", f"{out} can be written")


def _data(root: Path | None) -> Iterator[CheckResult]:
    from lrstudy.tasks.fetch import list_data

    states = list_data(root)
    present = [state.name for state in states if state.state in ("present", "shipped")]
    missing = [state.name for state in states if state.state == "missing"]
    yield CheckResult("data sets", "ok", ", ".join(present))
    for state in states:
        if state.state == "incomplete":
            yield CheckResult(state.name, "fault", "incomplete", f"lrstudy data fetch {state.name}")
    if missing:
        yield CheckResult("not here", "note", ", ".join(missing), "To fetch one: lrstudy data fetch NAME")


def _ray(address: str | None) -> CheckResult:
    from lrstudy.spec import Resources
    from lrstudy.tuning.cluster.session import cluster_size, ray_session

    name = "cluster" if address else "Ray"
    try:
        with ray_session(address, Resources()):
            size = cluster_size()
    except LrStudyError as error:
        return CheckResult(name, "fault", str(error))
    where = address or "starts on this machine"
    return CheckResult(name, "ok", f"{where}: {size}")


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
