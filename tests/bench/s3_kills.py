"""Run a study with its store at an S3-compatible server, kill the driver, resume, and compare.

    python tests/bench/s3_kills.py --kills 3

The server is moto's, on this machine. What the store holds in the end must be what an uninterrupted run on
disk holds, bit by bit. Exit code 1 where it is not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pyarrow import fs

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tuning"))

from fault_studies import assert_same, write_study

from lrstudy.store import open_location, open_store


def start_server() -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    place = f"127.0.0.1:{port}"
    fs.S3FileSystem(endpoint_override=place, scheme="http", allow_bucket_creation=True).create_dir("bucket")
    return server, f"http://{place}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--kills", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    given = arguments.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    moments = random.Random(given.seed)
    server, endpoint = start_server()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            compare(Path(scratch), endpoint, given.kills, moments)
    finally:
        server.kill()
        server.wait()


def compare(folder: Path, endpoint: str, kills: int, moments: random.Random) -> None:
    study = write_study(folder / "study", seconds=0.02, epochs=20, trials=4, seeds=2)
    run = [
        sys.executable,
        "-m",
        "lrstudy",
        "run",
        str(study),
        "--quiet",
        "--reports",
        str(folder / "reports"),
    ]
    quiet = {"stdout": subprocess.DEVNULL}
    subprocess.run([*run, "--out", str(folder / "whole")], check=True, **quiet)
    there = [*run, "--out", "s3://bucket/runs", "--endpoint", endpoint]
    place = open_location("s3://bucket/runs/slow", endpoint)
    for kill in range(kills):
        child = subprocess.Popen(there, **quiet)
        before = set(checkpoints(place))
        while not set(checkpoints(place)) - before:
            if child.poll() is not None:
                raise SystemExit("the study ended before it could be killed")
            time.sleep(0.2)
        time.sleep(moments.uniform(0.0, 2.0))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        print(f"kill {kill + 1}: {len(checkpoints(place))} checkpoints at the server", flush=True)
    started = time.monotonic()
    resume = [sys.executable, "-m", "lrstudy", "resume", str(place), "--modules", str(study.parent)]
    reports = ["--quiet", "--reports", str(folder / "reports"), "--endpoint", endpoint]
    subprocess.run([*resume, *reports], check=True, **quiet)
    print(f"resumed to the end in {time.monotonic() - started:.1f} s", flush=True)
    assert_same(place, folder / "whole" / "slow")
    again = sum(record.attempt > 1 for record in open_store(place).trial_records())
    print(f"equal, bit by bit; {again} trials went on from a checkpoint; in the store: {place.names()}")


def checkpoints(place: object) -> list[str]:
    chosen = fs.FileSelector(f"{place.path}/checkpoints", recursive=True, allow_not_found=True)
    return [info.path for info in place.filesystem.get_file_info(chosen) if info.path.endswith(".pt")]


if __name__ == "__main__":
    main()
