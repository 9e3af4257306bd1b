"""Names of Ray Train beyond its public interface: its switches, whom it lost, what it waits for.

Checked with Ray 2.55 to 2.60. Each function names the upstream file that it mirrors and what happens where
the name is missing; ``tests/compat`` fails when the installed Ray no longer has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ray.exceptions import RayError, RayTaskError

from lrstudy.compat.ray import module_or_none, replaced

TRAIN_ENVIRONMENT: Final[Mapping[str, str]] = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # A lost node is noticed by its loss: another process for each trial would watch for its announcement.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    # The time that a trial is longer than its training, on average half of it: 2 s by default.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
"""Environment variables for a ``TorchTrainer``, most of them undocumented; Ray ignores one it does not know.

``ray/train/v2/_internal/constants.py``.
"""

# Removes a trainer's placement group if its controller is gone, as a callback of the trainer.
_CLEANER: Final = "PlacementGroupCleanerCallback"
# When it starts its process, and when it tells that process of the group.
_WHEN: Final = ("after_controller_start", "after_worker_group_start")


def lost_worker(error: BaseException) -> RayError | None:
    """Return Ray's error on a process that ``TorchTrainer.fit`` lost; None if none was lost.

    ``error`` is what ``fit`` raised. ``worker_failures`` of a ``ray.train.WorkerGroupError`` is public; the
    wrapper of a failed health check is not (``ray/train/v2/_internal/exceptions.py``). Where Ray renames its
    attribute, None: the caller then has the errors that the other ranks report.
    """
    failures = getattr(error, "worker_failures", None) or {0: error}
    for failure in failures.values():
        cause = getattr(failure, "health_check_failure", failure)
        if isinstance(cause, RayError) and not isinstance(cause, RayTaskError):
            return cause
    return None


@contextmanager
def no_idle_cleaner() -> Iterator[None]:
    """Let a ``TorchTrainer`` that starts in the block have no cleaner where that could do nothing.

    The cleaner is a process that asks Ray's dashboard if the trainer's controller is alive. Where no
    dashboard runs it never learns that, and the end of each run waits 12 s for it.
    ``ray/train/v2/api/data_parallel_trainer.py``. Where a name is missing, it is started.
    """
    trainer = module_or_none("ray.train.v2.api.data_parallel_trainer")
    usual = getattr(trainer, _CLEANER, None)
    if usual is None or _has_dashboard():
        yield
        return

    with replaced(trainer, _CLEANER, type("Idle", (usual,), dict.fromkeys(_WHEN, _do_nothing))):
        yield


def _do_nothing(*_given: Any) -> None:
    pass


def _has_dashboard() -> bool:
    """Return True if Ray's dashboard has told its address, or if that cannot be known."""
    values = module_or_none("ray.experimental.internal_kv")
    constants = module_or_none("ray._private.ray_constants")
    get = getattr(values, "_internal_kv_get", None)
    key = getattr(constants, "DASHBOARD_ADDRESS", None)
    namespace = getattr(constants, "KV_NAMESPACE_DASHBOARD", None)
    if get is None or key is None or namespace is None:
        return True
    return bool(get(key, namespace=namespace))
