"""The extras that ``lrstudy doctor`` names are those that pyproject.toml declares for users."""

from __future__ import annotations

import tomllib
from importlib.metadata import Distribution, version
from pathlib import Path

import pytest

from lrstudy.tuning.cluster.extras import extras_of

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def package(folder: Path, extras: dict[str, list[str]]) -> Distribution:
    """The metadata that setuptools would write for a package with these extras."""
    lines = ["Metadata-Version: 2.4", "Name: some-package", "Version: 1", "Requires-Dist: numpy>=2"]
    for extra, needs in extras.items():
        lines.append(f"Provides-Extra: {extra}")
        for need in needs:
            name, _, marker = need.partition(";")
            joined = f'({marker.strip()}) and extra == "{extra}"' if marker else f'extra == "{extra}"'
            lines.append(f"Requires-Dist: {name.strip()}; {joined}")
    (folder / "METADATA").write_text("\n".join(lines))
    return Distribution.at(folder)


def test_every_extra_of_the_project_for_users_is_named(tmp_path: Path) -> None:
    declared = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    assert set(extras_of(package(tmp_path, declared))) == set(declared) - {"test"}
    assert {"metrics", "datasets", "optimizers", "lightning", "transformers"} <= set(declared)


@pytest.mark.parametrize(
    ("needs", "installed"),
    [
        (["numpy"], True),
        (["numpy", "no-such-package-at-all"], False),
        ([f"numpy>{version('numpy')}"], False),
        (["numpy", "no-such-package-at-all; sys_platform == 'no-such-system'"], True),
        # An extra of another package: numpy has none of this name, so that nothing is missing.
        (["numpy[nothing]"], True),
    ],
)
def test_an_extra_is_installed_if_all_that_it_needs_is(
    needs: list[str], installed: bool, tmp_path: Path
) -> None:
    assert extras_of(package(tmp_path, {"some": needs})) == {"some": installed}


def test_an_extra_of_another_package_is_looked_into(tmp_path: Path) -> None:
    # It needs what this machine's tests have: Ray's dashboard.
    ray = extras_of(Distribution.from_name("ray"))
    assert extras_of(package(tmp_path, {"cluster": ["ray[default]"]})) == {"cluster": ray["default"]}
