"""Flip single bits in every file of a store, and count what each reader makes of them.

    python tests/bench/bit_flips.py --flips 800 [--run runs/digits]

A flip is refused with a message, or all values that are read are the same; everything else is a fault:
another value, or a traceback. Without ``--run`` a small store is written first. Exit code 1 for a fault.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "store"))

from bit_flips import flipped, outcome, values, write_store


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--flips", type=int, default=800)
    arguments.add_argument("--seed", type=int, default=0, help="of the places of the flips")
    arguments.add_argument("--run", type=Path, help="a store; it is copied, not changed")
    given = arguments.parse_args()
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "store"
        if given.run:
            shutil.copytree(given.run, folder)
        else:
            write_store(folder)
        files = [file for file in sorted(folder.rglob("*")) if file.suffix in (".parquet", ".json")]
        good, counts = values(folder), Counter[tuple[str, str]]()
        for _ in range(given.flips):
            file = moments.choice(files)
            with flipped(file, moments.randrange(8 * file.stat().st_size)):
                kind = file.parent.name if file.suffix == ".parquet" else file.name
                counts[kind, outcome(folder, good)] += 1
    outcomes = sorted({what for _, what in counts})
    print("| file | " + " | ".join(outcomes) + " |")
    print("| --- |" + " ---: |" * len(outcomes))
    for kind in sorted({kind for kind, _ in counts}):
        print(f"| {kind} | " + " | ".join(str(counts[kind, what]) for what in outcomes) + " |")
    return int(any(what not in ("refused", "same values") for what in outcomes))


if __name__ == "__main__":
    sys.exit(main())
