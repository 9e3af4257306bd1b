"""The part of a study's settings that decides its trials, and so makes it the study that it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Sections that may differ between two runs of one study: what a trial occupies, what is done about faults,
# and where its epochs are sent to.
FREE_SECTIONS: Final = ("resources", "faults", "logging")


def deciding_part(spec: Mapping[str, Any], *, range_tests: bool) -> dict[str, Any]:
    """Return what decides the trials, from a resolved study as plain data.

    Leaves out ``FREE_SECTIONS``, the section on range tests unless a schedule asks for one, and the targets,
    the reference and the margin, which only the report reads.
    """
    part = {key: value for key, value in spec.items() if key not in FREE_SECTIONS}
    target = spec.get("target")
    if isinstance(target, Mapping):
        part["target"] = {"metric": target.get("metric")}
    if not range_tests:
        part.pop("range_test", None)
    return part
