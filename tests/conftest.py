"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no failure: an example's time depends on what else runs there.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
