"""What ``lrstudy doctor`` looks at: what is well, worth knowing, or a fault with its remedy."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lrstudy.errors import LrStudyError

State = Literal["ok", "note", "fault"]

_OLDEST: Final = (3, 11)
_EXTRAS: Final = {
    "cluster": "ray[default]",
    "competitors": "prodigyopt",
    "query": "duckdb",
    "mlflow": "mlflow-skinny",
    "wandb": "wandb",
}
# A study writes megabytes; Ray's own files and object store need more.
_SPACE: Final = 2**30
_MEMORY: Final = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, what was seen, and the remedy of a fault."""

    name: str
    state: State
    seen: str
    remedy: str = ""


def diagnose(out: str, root: Path | None, address: str | None) -> Iterator[Finding]:
    """Look at everything a study needs, the quick things first; nothing is changed."""
    yield _python()
    yield from _packages()
    yield _accelerator()
    yield _memory()
    yield _space("runs", out)
    yield _folder(out)
    yield from _data(root)
    yield _ray(address)


def _python() -> Finding:
    seen = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < _OLDEST:
        return Finding("Python", "fault", seen, "Use Python 3.11 or later.")
    return Finding("Python", "ok", seen)


def _packages() -> Iterator[Finding]:
    for name in ("lrstudy", "torch", "torchvision", "ray", "optuna", "pyarrow"):
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "fault", "not installed", "Install lrstudy anew: pip install lrstudy")
    there = [extra for extra in _EXTRAS if _extra_is_there(extra)]
    missing = [extra for extra in _EXTRAS if extra not in there]
    remedy = f"Where wanted: pip install 'lrstudy[{','.join(missing)}]'" if missing else ""
    yield Finding("extras", "note" if missing else "ok", ", ".join(there) or "none", remedy)


def _extra_is_there(extra: str) -> bool:
    if extra == "cluster":
        return importlib.util.find_spec("aiohttp_cors") is not None  # only the dashboard's agents need it
    try:
        importlib.metadata.version(_EXTRAS[extra])
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _accelerator() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
        return Finding("GPU", "ok", f"{', '.join(names)}; CUDA {torch.version.cuda}")
    if shutil.which("nvidia-smi"):
        remedy = "Compare nvidia-smi's driver with torch.version.cuda; install the torch that fits it."
        return Finding("GPU", "fault", "there is a driver, but torch does not see a GPU", remedy)
    return Finding("GPU", "note", f"none; trials run on {os.cpu_count()} CPU cores")


def _memory() -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not every system tells
        return Finding("memory", "note", "unknown")
    if free < _MEMORY:
        return Finding(
            "memory", "fault", f"{_gib(free)} free", "Free some: each of Ray's workers needs half a GiB."
        )
    return Finding("memory", "ok", f"{_gib(free)} free")


def _space(name: str, out: str) -> Finding:
    """Room where runs and Ray's temporary files go."""
    from lrstudy.tuning.cluster.machine import temporary_folder

    places = {"Ray's temporary files": _existing(temporary_folder()[0])}
    if "://" not in out:
        places[name] = _existing(Path(out))
    free = {what: shutil.disk_usage(place).free for what, place in places.items()}
    seen = ", ".join(f"{what}: {_gib(bytes_)} free" for what, bytes_ in free.items())
    if min(free.values()) < _SPACE:
        return Finding("disk", "fault", seen, "Make room, or choose another --out or RAY_TMPDIR.")
    return Finding("disk", "ok", seen)


def _folder(out: str) -> Finding:
    from lrstudy.store import open_location

    try:
        open_location(out).check_writable()
    except LrStudyError as error:
        return Finding("--out", "fault", str(error))
    return Finding("--out", "ok", f"{out} can be written")


def _data(root: Path | None) -> Iterator[Finding]:
    from lrstudy.tasks.fetch import list_data

    states = list_data(root)
    there = [state.name for state in states if state.state in ("present", "shipped")]
    missing = [state.name for state in states if state.state == "missing"]
    yield Finding("data sets", "ok", ", ".join(there))
    for state in states:
        if state.state == "incomplete":
            yield Finding(state.name, "fault", "incomplete", f"lrstudy data fetch {state.name}")
    if missing:
        yield Finding("not here", "note", ", ".join(missing), "Where wanted: lrstudy data fetch NAME")


def _ray(address: str | None) -> Finding:
    from lrstudy.spec import Resources
    from lrstudy.tuning.cluster.session import cluster_size, ray_session

    name = "cluster" if address else "Ray"
    try:
        with ray_session(address, Resources()):
            size = cluster_size()
    except LrStudyError as error:
        return Finding(name, "fault", str(error))
    where = address or "starts on this machine"
    return Finding(name, "ok", f"{where}: {size}")


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
