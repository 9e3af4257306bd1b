"""Wheels as one small archive, for a machine that can fetch nothing: what a study needs of them.

    python tests/bench/gpu_wheels.py WHEELS BUNDLE.tar.xz

WHEELS is a folder of wheels for that machine's Python, as ``pip download`` fills it. Of Ray the Java and C++
parts, RLlib, Serve and the dashboard's page are left out, half of its size; ``gpu_ray_study.sh`` unpacks the
archive and runs a study.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
import zipfile
from pathlib import Path

LEFT_OUT = (
    "ray/jars/",
    "ray/cpp/",
    "ray/rllib/",
    "ray/serve/",
    "ray/llm/",
    "ray/dashboard/client/",
)
# Ray's servers lose the right to be executed in a wheel unless its installer restores it.
_EXECUTABLE = 0o755


def bundle(wheels: Path, archive: Path) -> int:
    """Write the wheels of a folder as one archive to be unpacked onto Python's path; return its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as opened:
                for entry in opened.infolist():
                    if not entry.filename.startswith(LEFT_OUT):
                        written = Path(opened.extract(entry, folder))
                        if written.is_file() and entry.external_attr >> 16 & 0o111:
                            written.chmod(_EXECUTABLE)
        with tarfile.open(archive, "w:xz", preset=6) as packed:
            packed.add(folder, ".")
    return archive.stat().st_size


def main() -> None:
    """Write the archive and print its size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheels", type=Path)
    parser.add_argument("archive", type=Path)
    given = parser.parse_args()
    print(f"{given.archive}: {bundle(given.wheels, given.archive) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
