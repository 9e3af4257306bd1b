"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# Before torch is imported. Two test files run at once: with a pool of threads in each, they wait for each
# other's cores (a test of 0.13 s took 26 s).
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A slow machine is no failure: an example's time depends on what else runs there. The same examples each
# time, so that a failure is about the change at hand; --hypothesis-profile=default looks further.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
