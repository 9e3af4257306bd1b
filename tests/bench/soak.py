"""Kill a study's driver with SIGKILL at random moments, resume it, and compare with an uninterrupted run.

    python tests/bench/soak.py --kills 20 --seed 1

Every metric of every epoch must be the same, bit by bit. With ``--search tpe`` too: a suggestion depends on
fixed earlier trials, never on the order in which they ended. Exit code 1 at the first difference.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tuning"))

from fault_studies import assert_same, measured, write_study

from lrstudy.store import open_store


def command(study: Path, out: Path) -> list[str]:
    places = ["--out", str(out), "--reports", str(out.parent / "reports")]
    return [sys.executable, "-m", "lrstudy", "run", str(study), *places, "--quiet"]


def finish(study: Path, out: Path) -> float:
    started = time.monotonic()
    subprocess.run(command(study, out), check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    arguments.add_argument("--search", default="random", choices=["random", "tpe", "qmc", "grid"])
    arguments.add_argument("--epochs", type=int, default=30)
    arguments.add_argument("--trials", type=int, default=6)
    arguments.add_argument("--seeds", type=int, default=4)
    given = arguments.parse_args()
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        study = write_study(
            folder / "study", epochs=given.epochs, trials=given.trials, seeds=given.seeds, search=given.search
        )
        whole = finish(study, folder / "whole")
        trials, epochs = measured(folder / "whole" / "slow")
        print(f"uninterrupted: {len(trials)} trials, {len(epochs)} epochs, {whole:.1f} s", flush=True)
        kills = stores = resumed = 0
        while kills < given.kills:
            stores += 1
            out = folder / f"killed-{stores}"
            while kills < given.kills:
                wait = moments.uniform(0.0, whole)
                child = subprocess.Popen(
                    command(study, out), start_new_session=True, stdout=subprocess.DEVNULL
                )
                try:
                    child.wait(wait)
                    break  # it ended before its kill: the next store's turn
                except subprocess.TimeoutExpired:
                    os.kill(child.pid, signal.SIGKILL)
                    child.wait()
                    kills += 1
                    kept = len(list((out / "slow" / "checkpoints").glob("*/*.pt")))
                    print(f"kill {kills} of {given.kills} after {wait:.1f} s; {kept} checkpoints", flush=True)
            finish(study, out)
            assert_same(out / "slow", folder / "whole" / "slow")
            left = sorted(path.name for path in (out / "slow").iterdir() if not path.name.startswith("."))
            assert left == ["epochs", "run.log", "study.json", "trials"], left
            again = sum(record.attempt > 1 for record in open_store(out / "slow").trial_records())
            resumed += again
            print(f"store {stores}: equal; {again} of its trials went on from a checkpoint", flush=True)
            shutil.rmtree(out)
    print(f"{kills} kills, {stores} stores, all equal; {resumed} trials went on from a checkpoint")


if __name__ == "__main__":
    main()
