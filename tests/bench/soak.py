"""End a study's driver in every way there is, resume it, and compare with an uninterrupted run.

    python tests/bench/soak.py                      # the whole campaign, about an hour on 2 cores
    python tests/bench/soak.py --only kills --kills 20 --seed 1

Every value of every trial and epoch must be the same, bit by bit, and nothing that the study started may
run a minute after its end. The result is a table; exit code 1 where anything differs.

kills    SIGKILL at random moments: plain trials and lanes, disk and S3, random search and TPE
signals  SIGTERM, SIGHUP, Ctrl-C once and twice, driver and workers stopped and continued
nodes    a cluster of three nodes loses one, three times, with lanes
s3       a server that refuses, resets, answers 500 and 503 and restarts
disk     a disk that is full in mid-study (needs the right to mount)
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tuning"))

from faulty_s3 import BUCKET, faulty_proxy, s3_server
from interrupted_study import (
    HEAD,
    Driver,
    Place,
    Reference,
    Row,
    Scenario,
    check_ending,
    finish,
    uninterrupted,
)
from ray_nodes import family, ray_nodes


def kill(driver: Driver, _: random.Random) -> None:
    driver.send(signal.SIGKILL)


def once(number: int) -> Callable[[Driver, random.Random], None]:
    return lambda driver, _: driver.send(number)


def twice(driver: Driver, moments: random.Random) -> None:
    driver.send(signal.SIGINT)
    time.sleep(moments.uniform(0.0, 1.5))
    driver.send(signal.SIGINT)


def pause(driver: Driver, moments: random.Random) -> None:
    """Stop the driver for some seconds, as a suspended machine does; it goes on by itself."""
    driver.send(signal.SIGSTOP)
    time.sleep(moments.uniform(1.0, 6.0))
    driver.send(signal.SIGCONT)


def pause_all(driver: Driver, moments: random.Random) -> None:
    """Stop the driver and all that it started, then let them go on."""
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in driver.descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(moments.uniform(1.0, 6.0))


def terminate_all(driver: Driver, _: random.Random) -> None:
    """Send SIGTERM to the driver and to all that it started, as systemd and Slurm do at a job's end."""
    for pid in driver.descendants():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def interrupt(
    reference: Reference,
    places: Iterator[Place],
    row: Row,
    endings: int,
    end: Callable[[Driver, random.Random], None],
    moments: random.Random,
) -> None:
    """End the driver at random moments until it has been ended so often; finish and compare each store."""
    while row.endings < endings:
        place = next(places)
        while row.endings < endings:
            driver = Driver(reference.study, place.out, *place.more)
            if driver.wait(moments.uniform(0.0, reference.seconds)) is not None:
                driver.wait_for_rest(row)
                break  # it ended before: the next store's turn
            end(driver, moments)
            row.endings += 1
            code = driver.wait(300)
            check_ending(driver, row, code)
            driver.wait_for_rest(row)
        finish(reference, place, row)


def folders(folder: Path) -> Iterator[Place]:
    number = 0
    while True:
        number += 1
        yield Place(str(folder / f"interrupted-{number}"))


def buckets(prefix: str, port: int) -> Iterator[Place]:
    number = 0
    while True:
        number += 1
        yield Place(f"s3://{BUCKET}/{prefix}-{number}", f"http://127.0.0.1:{port}")


def kills(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    moments = random.Random(given.seed)
    kinds = [Scenario(lanes, search) for lanes in (False, True) for search in ("random", "tpe")]
    share = -(-given.kills // (2 * len(kinds)))
    with s3_server() as port:
        for number, kind in enumerate(kinds):
            if all(given.among not in Scenario(kind.lanes, kind.search, s3).name for s3 in (False, True)):
                continue
            reference = uninterrupted(kind, folder / f"kills-{number}")
            for s3 in (False, True):
                name = Scenario(kind.lanes, kind.search, s3).name
                if given.among not in name:
                    continue
                row = Row(f"SIGKILL: {name}")
                places = buckets(f"kills-{number}", port) if s3 else folders(reference.study.parent)
                interrupt(reference, places, row, share, kill, moments)
                yield row


def signals(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    moments = random.Random(given.seed)
    ways = {
        "SIGTERM": once(signal.SIGTERM),
        "SIGHUP": once(signal.SIGHUP),
        "Ctrl-C": once(signal.SIGINT),
        "Ctrl-C twice": twice,
        "driver stopped, continued": pause,
        "all processes stopped, continued": pause_all,
        "SIGTERM to all processes": terminate_all,
    }
    for lanes in (False, True):
        reference = uninterrupted(Scenario(lanes, "random"), folder / f"signals-{lanes}")
        for name, end in ways.items():
            row = Row(f"{name}: {'lanes' if lanes else 'plain'}")
            if given.among not in row.what:
                continue
            interrupt(reference, folders(reference.study.parent / name[-5:]), row, given.each, end, moments)
            yield row


def nodes(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Each loss takes a node of three away in mid-study and puts another in its place."""
    moments = random.Random(given.seed)
    reference = uninterrupted(Scenario(lanes=True, search="random"), folder / "nodes")
    row = Row("a node lost: lanes, random, disk")
    with ray_nodes(further=2, dashboard=False) as cluster:
        for number in range(given.losses):
            place = Place(str(folder / "nodes" / f"lost-{number}"))
            driver = Driver(reference.study, place.out, "--address", cluster.address)
            victim = len(cluster.processes) - 1
            lost = family(cluster.processes[victim].pid)
            while not list(Path(place.out).glob("slow/checkpoints/*/*.pt")):
                assert driver.wait(0.2) is None, driver.log.read_text()[-2000:]
            time.sleep(moments.uniform(0.0, 3.0))
            cluster.kill(victim)
            row.endings += 1
            check_ending(driver, row, driver.wait(900))
            row.notes.append(f"{len(lost)} processes lost")
            finish(reference, place, row)
            cluster.add()
    yield row


def s3(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    for lanes in (False, True):
        reference = uninterrupted(Scenario(lanes, "random"), folder / f"s3-{lanes}")
        for share, restarts in ((0.05, False), (0.2, False), (0.0, True)):
            what = "restarts for 20 s" if restarts else f"{share:.0%} of the connections fail"
            row = Row(f"S3 server {what}: {'lanes' if lanes else 'plain'}")
            with s3_server() as port, faulty_proxy(port, share=share, seed=given.seed) as proxy:
                place = Place(f"s3://{BUCKET}/faulty", f"http://127.0.0.1:{proxy.port}")
                if restarts:
                    driver = Driver(reference.study, place.out, *place.more)
                    driver.wait(reference.seconds / 2)
                    proxy.restart(20.0)
                    check_ending(driver, row, driver.wait(300))
                    time.sleep(20.0)
                finish(reference, place, row, tries=10)
                row.endings = proxy.faults + restarts
            yield row


def disk(folder: Path, _: argparse.Namespace) -> Iterator[Row]:
    for lanes in (False, True):
        reference = uninterrupted(Scenario(lanes, "random"), folder / f"disk-{lanes}")
        row, small = Row(f"disk full: {'lanes' if lanes else 'plain'}"), folder / f"small-{lanes}"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=True)
        try:
            driver = Driver(reference.study, str(small))
            while not list(small.glob("slow/checkpoints/*/*.pt")) and driver.wait(0.1) is None:
                pass
            with (small / "filler").open("ab", buffering=0) as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(4096))
            row.endings += 1
            check_ending(driver, row, driver.wait(300))
            (small / "filler").unlink()
            finish(reference, Place(str(small)), row)
        finally:
            subprocess.run(["umount", "--lazy", str(small)], check=True)
        yield row


PARTS = {"kills": kills, "signals": signals, "nodes": nodes, "s3": s3, "disk": disk}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--among", default="", help="only the kills and signals whose name contains this")
    arguments.add_argument("--each", type=int, default=3, help="endings by each signal")
    arguments.add_argument("--losses", type=int, default=3, help="of nodes")
    arguments.add_argument("--seed", type=int, default=0, help="of the moments")
    given = arguments.parse_args()
    print(HEAD, flush=True)
    faults = 0
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        for part in given.only.split(","):
            for row in PARTS[part](Path(scratch), given):
                print(row, flush=True)
                faults += len(row.faults)
    if faults:
        raise SystemExit(f"{faults} faults")


if __name__ == "__main__":
    main()
