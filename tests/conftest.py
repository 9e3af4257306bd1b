"""What holds for all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from s3_server import endpoint as endpoint  # a fixture

# Before torch is imported. Two test files run at once: with a pool of threads in each, they wait for each
# other's cores (a test of 0.13 s took 26 s).
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A slow machine is no failure: an example's time depends on what else runs there. The same examples each
# time, so that a failure is about the change at hand; --hypothesis-profile=default looks further.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

# Files whose tests take more than some seconds of processor time together: marked slow, for .ci/test.
SLOW_FILES = frozenset(
    {
        "test_aa_study",
        "test_captured_step",
        "test_cli_bad_input",
        "test_cli_broken",
        "test_cli_data_commands",
        "test_cli_environment",
        "test_cli_report",
        "test_cli_run",
        "test_cli_schedules",
        "test_cli_show",
        "test_cli_version_1",
        "test_compat_ray",
        "test_compat_torch",
        "test_example_trainings",
        "test_function_resume",
        "test_lane_study",
        "test_lanes",
        "test_lightning",
        "test_lipschitz_paper_cnn",
        "test_lipschitz_ranks",
        "test_mlflow_runs",
        "test_rank_training",
        "test_live_server",
        "test_reaper",
        "test_report_drawing",
        "test_report_files",
        "test_same_task",
        "test_store_bit_rot",
        "test_store_kill",
        "test_store_locations",
        "test_store_lock",
        "test_training_check",
        "test_training_options",
        "test_transformers",
        "test_validate_broken_parts",
        "test_wandb_runs",
        "test_workers_study",
    }
)

# Files whose tests read with processes of a DataLoader, which are forked: before the tests' own process has
# threads of Ray, DuckDB and S3 clients, whose memory such a child inherits in whatever state it is in.
FORKING_FILES = frozenset(
    {
        "test_broken_contract",
        "test_example_trainings",
        "test_function_resume",
        "test_item_columns",
        "test_iterable_streams",
        "test_streams",
    }
)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in SLOW_FILES:
            item.add_marker(pytest.mark.slow)
    # Files that start Ray first: a long one that began last would run alone at the end.
    heavy = {item.path for item in items if item.get_closest_marker("cluster")}
    items.sort(key=lambda item: (item.path.stem not in FORKING_FILES, item.path not in heavy))
