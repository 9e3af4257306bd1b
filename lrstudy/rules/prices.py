"""The price of a trial: that of the devices that it held, for as long as it held them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

# The key of a CPU core among the prices; every other key is part of a GPU's name.
CPU: Final = "cpu"
_HOUR: Final = 3600.0


class Held(Protocol):
    """The devices that a trial held: records and the analysis' trials name them."""

    @property
    def device(self) -> str:
        """The name of the device that it trained on."""

    @property
    def cpus(self) -> int | None:
        """The CPU cores of each worker, None in a store that did not record them."""

    @property
    def gpus(self) -> float:
        """The GPUs of each worker."""

    @property
    def workers(self) -> int:
        """The number of its workers."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of devices per hour, and the most that a study may cost (None: no limit).

    A CPU core has the key ``cpu``. Any other key is part of a GPU's name, in any case of letters; of several
    that fit the longest counts. ``cores`` is the number of CPU cores of a trial whose row does not tell.
    """

    currency: str
    per_hour: Mapping[str, float]
    limit: float | None = None
    cores: int = 1

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Prices | None:
        """Return the prices of a resolved study; None where it names none."""
        section = spec.get("cost") or {}
        if not section.get("per_hour"):
            return None
        cores = int((spec.get("resources") or {}).get("cpus", 1))
        return cls(section["currency"], section["per_hour"], section.get("limit"), cores)

    def of_gpu(self, device: str) -> float | None:
        """Return the price of a GPU for an hour; None if no key is part of its name.

        >>> Prices("EUR", {"h100": 2.5, "H100 NVL": 2.8}).of_gpu("NVIDIA H100 NVL")
        2.8
        """
        name = device.casefold()
        fitting = [key for key in self.gpu_keys if key.casefold() in name]
        return self.per_hour[max(fitting, key=len)] if fitting else None

    @property
    def gpu_keys(self) -> list[str]:
        """The keys of GPUs."""
        return [key for key in self.per_hour if key.casefold() != CPU]

    @property
    def of_core(self) -> float:
        """The price of a CPU core for an hour; 0 where only GPUs have one, whose price then includes it."""
        return next((price for key, price in self.per_hour.items() if key.casefold() == CPU), 0.0)

    def hourly(self, held: Held) -> float | None:
        """Return the price of what a trial holds for an hour; None where its GPU has no price."""
        gpu = self.of_gpu(held.device) if held.gpus else 0.0
        return None if gpu is None else self.sum_of(gpu, held.cpus, held.gpus, held.workers)

    def at_most(self, gpus: float, workers: int, cpus: int | None = None) -> float:
        """Return the price for an hour of a trial that may get the most expensive of the GPUs."""
        highest = max((self.per_hour[key] for key in self.gpu_keys), default=0.0)
        return self.sum_of(highest, cpus, gpus, workers)

    def sum_of(self, gpu: float, cpus: int | None, gpus: float, workers: int) -> float:
        """Return the price for an hour of so many workers, each with these cores and (parts of) GPUs."""
        return workers * ((self.cores if cpus is None else cpus) * self.of_core + gpus * gpu)

    def cost(self, held: Held, seconds: float | None) -> float | None:
        """Return the price of what a trial held for so long; None where its GPU or its time is unknown."""
        hourly = self.hourly(held)
        return None if hourly is None or seconds is None else hourly * seconds / _HOUR


def for_seconds(hourly: float, seconds: float) -> float:
    """Return the price of so many seconds."""
    return hourly * seconds / _HOUR


def amount(value: float) -> str:
    """Return an amount of money without its currency: two decimals, of a small one two digits.

    >>> amount(1234.5), amount(0.42), amount(0.00421), amount(0.0), amount(19.999)
    ('1,234.50', '0.42', '0.0042', '0', '20.00')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = 2 if abs(value) >= 0.1 else min(1 - math.floor(math.log10(abs(value))), 12)
    return f"{value:,.{places}f}"


def money(value: float, currency: str) -> str:
    """Return an amount of money.

    >>> money(12.3, "EUR")
    '12.30 EUR'
    """
    return f"{amount(value)} {currency}"


def energy(kwh: float) -> str:
    """Return an energy with its unit, three digits.

    >>> energy(0.0000042), energy(0.0123), energy(12.345), energy(0.0)
    ('0.0042 Wh', '12.3 Wh', '12.3 kWh', '0 Wh')
    """
    value, unit = (kwh, "kWh") if kwh >= 1 else (1e3 * kwh, "Wh")
    return f"{value:.3g} {unit}"
