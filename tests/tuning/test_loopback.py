"""What a study of one machine starts can be reached from no other machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ray_nodes import family

from lrstudy.spec import Resources
from lrstudy.tuning.cluster.session import ray_session

_LISTEN = "0A"
_LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


def listening(pids: list[int]) -> dict[str, str]:
    """Addresses, as the kernel writes them, on which these processes listen, and who does."""
    sockets = {}
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            try:
                sockets[str(file.readlink())] = Path(f"/proc/{pid}/comm").read_text().strip()
            except FileNotFoundError:
                continue
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            owner = sockets.get(f"socket:[{fields[9]}]")
            if fields[3] == _LISTEN and owner is not None:
                found[fields[1]] = owner
    return found


@pytest.mark.cluster
def test_ray_on_this_machine_listens_on_the_loopback_address_and_has_no_dashboard() -> None:
    with ray_session(None, Resources()):
        places = listening(family(os.getpid()))
        assert places, "Ray listens somewhere"
        open_to_all = {place: who for place, who in places.items() if place.split(":")[0] not in _LOOPBACK}
        assert not open_to_all
        assert not any(place.endswith(f":{8265:04X}") for place in places), "a dashboard"
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in family(os.getpid())]
        assert any("raylet" in command for command in commands)
        assert not any(name in command for command in commands for name in ("log_monitor", "monitor.py"))
        assert not any("dashboard/dashboard.py" in command for command in commands)
        time.sleep(1)
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in family(os.getpid())]
        assert not any("ray::IDLE" in command for command in commands), "a worker that no trial will use"
