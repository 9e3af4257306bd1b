"""The optional dependencies that a package declares, and those of them that are installed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

from packaging.requirements import Requirement

# For those who change lrstudy itself.
_DEVELOPMENT = frozenset({"test"})


def extras_of(package: importlib.metadata.Distribution) -> dict[str, bool]:
    """Return the extras of a package that users install, by name, each with True if it is installed.

    They are read from the package's own metadata, which is made from its pyproject.toml.
    """
    declared = package.metadata.get_all("Provides-Extra") or []
    return {name: _has(package, name) for name in declared if name not in _DEVELOPMENT}


def _has(package: importlib.metadata.Distribution, extra: str) -> bool:
    """Return True if all that an extra of a package needs is installed."""
    return all(map(_is_installed, _needed(package, extra)))


def _needed(package: importlib.metadata.Distribution, extra: str) -> Iterator[Requirement]:
    for text in package.requires or ():
        needed = Requirement(text)
        marker = needed.marker
        if marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}):
            yield needed


def _is_installed(needed: Requirement) -> bool:
    try:
        package = importlib.metadata.distribution(needed.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    fits = needed.specifier.contains(package.version, prereleases=True)
    return fits and all(_has(package, extra) for extra in needed.extras)
