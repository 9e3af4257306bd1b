"""The figures of the GPU script: kept by part, printed, and written whole after each part."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Check:
    """Two trainings that must agree: their largest relative difference, and the one allowed."""

    name: str
    difference: float
    allowed: float
    note: str | None = None

    @property
    def ok(self) -> bool:
        """Return True if they agree; a NaN does not."""
        return self.difference <= self.allowed

    def __str__(self) -> str:
        state = "ok " if self.ok else "NOT"
        note = f" ({self.note})" if self.note else ""
        return f"{state} {self.name}: difference {self.difference:.2g}, allowed {self.allowed:.2g}{note}"


@dataclass
class Part:
    """A part of the script: its state is "done", "skipped", "failed" or "cut"."""

    name: str
    state: str = "cut"
    seconds: float = 0.0
    note: str = ""
    checks: list[Check] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)


class Figures:
    """All parts so far. ``figures.json`` and ``table.md`` in ``out`` hold them after each addition."""

    def __init__(self, out: Path, device: str) -> None:
        self._out, self.parts = out, list[Part]()
        self.hardware = hardware(device)
        out.mkdir(parents=True, exist_ok=True)
        for name, value in self.hardware.items():
            print(f"{name}: {value}", flush=True)

    def begin(self, name: str) -> Part:
        """Return a new part."""
        self.parts.append(Part(name))
        print(f"== {name}", flush=True)
        return self.parts[-1]

    def check(self, check: Check) -> None:
        """Add a check to the last part."""
        self.parts[-1].checks.append(check)
        print(f"  {check}", flush=True)
        self.write()

    def add(self, **figure: Any) -> None:
        """Add a figure to the last part."""
        self.parts[-1].figures.append(figure)
        print("  " + ", ".join(f"{name} {_text(value)}" for name, value in figure.items()), flush=True)
        self.write()

    @property
    def agrees(self) -> bool:
        """Return True if every check agreed and no part failed."""
        checks = all(check.ok for part in self.parts for check in part.checks)
        return checks and not any(part.state == "failed" for part in self.parts)

    def write(self) -> None:
        """Write both files; each is replaced as a whole, so that a kill leaves a complete one."""
        whole = {"hardware": self.hardware, "parts": [_plain(part) for part in self.parts]}
        _replace(self._out / "figures.json", json.dumps(whole, indent=1))
        _replace(self._out / "table.md", self.markdown())

    def markdown(self) -> str:
        """Return the tables for ``README.md``."""
        about = ", ".join(str(self.hardware[name]) for name in ("device", "driver", "torch"))
        lines = [f"Hardware: {about}.", ""]
        speeds: dict[str, dict[str, float]] = {}
        for figure in self._figures("way"):
            speeds.setdefault(figure["network"], {})[figure["way"]] = figure["epochs_per_second"]
        if speeds:
            lines += _speed_table(speeds, self._floors())
        if lanes := self._figures("lanes"):
            lines += _table(["network", "lanes", "eager", "captured", "captured / one by one"], lanes)
        if trials := self._figures("schedule"):
            lines += _table(list(trials[0]), trials)
        lines += [f"- {check}" for part in self.parts for check in part.checks]
        lines += [
            f"- {part.name}: {part.state}{f', {part.note}' if part.note else ''}"
            for part in self.parts
            if part.state != "done"
        ]
        return "\n".join(lines) + "\n"

    def _figures(self, key: str) -> list[dict[str, Any]]:
        return [figure for part in self.parts for figure in part.figures if key in figure]

    def _floors(self) -> dict[str, float]:
        return {figure["network"]: figure["floor_share"] for figure in self._figures("floor_share")}


def _speed_table(speeds: dict[str, dict[str, float]], floors: dict[str, float]) -> list[str]:
    ways = list(dict.fromkeys(way for each in speeds.values() for way in each))
    rows = [
        {"network": network, **each, "share of the floor": floors.get(network, math.nan)}
        for network, each in speeds.items()
    ]
    return [
        "Epochs of 50,000 images per second:",
        "",
        *_table(["network", *ways, "share of the floor"], rows),
    ]


def _table(names: list[str], rows: list[dict[str, Any]]) -> list[str]:
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    lines += [f"| {' | '.join(_text(row.get(name)) for name in names)} |" for row in rows]
    return [*lines, ""]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(part: Part) -> dict[str, Any]:
    checks = [asdict(check) | {"ok": check.ok} for check in part.checks]
    return asdict(part) | {"checks": checks}


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def hardware(device: str) -> dict[str, Any]:
    """Return the names and versions that a figure needs to be compared with another."""
    cuda = device == "cuda"
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        driver = "no driver"
    return {
        "device": torch.cuda.get_device_name(0) if cuda else f"CPU {platform.machine()}",
        "driver": driver if cuda else "no driver",
        "torch": f"torch {torch.__version__}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "began": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }
