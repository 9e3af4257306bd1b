"""The energy of this process while it trains, through codecarbon (the extra ``energy``).

codecarbon measures in this process and offline: it sends nothing, writes no file and logs nothing. It reads
a GPU's own meter. The CPU's energy is measured where codecarbon can read RAPL, which meters the whole
processor: a trial then has the share of its cores. Elsewhere it is estimated from the processor's rated power
and the time that this process used it. The energy of memory is always estimated.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

from lrstudy.errors import InputError, Problem
from lrstudy.spec import Resources, Study

MEASURED: Final = "measured"
ESTIMATED: Final = "estimated"


def check_energy(study: Study) -> None:
    """Raise ``InputError`` if a study's energy is to be measured and codecarbon is not installed."""
    if study.cost.energy and find_spec("codecarbon") is None:
        remedy = "Install it: pip install 'lrstudy[energy]'; or set cost.energy = false."
        raise InputError(Problem("study", "cost.energy", "needs codecarbon, which is not installed", remedy))


@dataclass(slots=True)
class EnergyMeter:
    """The energy that this process uses from one reading to the next.

    A trial on a part of a GPU has that part of the GPU's energy. Nothing here fails a trial: where codecarbon
    cannot read anything, there is no energy.
    """

    resources: Resources
    source: str = ESTIMATED
    _tracker: Any = None
    _task: str = ""
    _tasks: int = field(default=0)

    @classmethod
    def start(cls, resources: Resources) -> EnergyMeter | None:
        """Return a running meter; None where codecarbon does not work."""
        try:
            meter = cls(resources, MEASURED if _has_rapl() else ESTIMATED, _tracker())
            meter._begin()
        except Exception:
            logging.getLogger(__name__).info("energy is not measured", exc_info=True)
            return None
        return meter

    def read(self, *, last: bool = False) -> float | None:
        """Return the kWh since the last reading, and begin the next one unless this is the last."""
        try:
            used = self._tracker.stop_task(self._task)
            if not last:
                self._begin()
        except Exception:
            logging.getLogger(__name__).info("energy was not read", exc_info=True)
            return None
        if used is None:
            return None
        cores = min(1.0, self.resources.cpus / (os.cpu_count() or 1)) if self.source == MEASURED else 1.0
        gpu = used.gpu_energy * self.resources.gpus
        return float(used.cpu_energy * cores + used.ram_energy + gpu)

    def _begin(self) -> None:
        self._tasks += 1
        self._task = f"{id(self)}-{self._tasks}"
        self._tracker.start_task(self._task)


_trackers: list[Any] = []


def _tracker() -> Any:
    """Return this process's tracker: finding out about the hardware takes it seconds, once."""
    if not _trackers:
        logging.getLogger("codecarbon").disabled = True
        from codecarbon import OfflineEmissionsTracker

        _trackers.append(
            OfflineEmissionsTracker(
                country_iso_code="FRA",  # of no influence on the energy, but codecarbon asks for one
                electricitymaps_api_token="",  # whatever its configuration file says
                output_methods=[],
                tracking_mode="process",
                measure_power_secs=3600,
                allow_multiple_runs=True,
                log_level="critical",
            )
        )
    return _trackers[0]


def _has_rapl() -> bool:
    from codecarbon.core.cpu import is_rapl_available

    return bool(is_rapl_available())
