"""The check that a study continues with the data and the model that it began with, in every process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

from lrstudy.engine.function.start_function import train_code
from lrstudy.errors import ClusterError, ContractError, InputError, Problem, StoreError
from lrstudy.records import Status
from lrstudy.rules.fingerprints import models_agree
from lrstudy.rules.source_digest import source_digest
from lrstudy.rules.user_modules import load
from lrstudy.safe_text import describe
from lrstudy.spec import Study
from lrstudy.store import Location, StudyInfo, open_store
from lrstudy.tasks import TaskData
from lrstudy.tasks.fingerprint import data_fingerprint, model_fingerprint
from lrstudy.tuning.worker.checkpoints import FOLDER

# The times that a model is built in a worker before the study is refused, where the worker is killed.
_ATTEMPTS: Final = 3
_RESTORE: Final = (
    "Restore it (files, code, seeds, package versions, the workers of a stream), or choose another --out to "
    "start a new run."
)


def fingerprints(study: Study, data: TaskData | None) -> dict[str, Any]:
    """Return the fingerprints of the data and of a user's own model or training, for ``study.json``."""
    if data is None:
        assert study.function is not None
        return {"train": source_digest(load(train_code(study.function)))}
    digests: dict[str, Any] = {"data": data_fingerprint(data)}
    model = model_fingerprint(study.built_in, data)
    return digests if model is None else digests | {"model": model}


def differences(study: Study, stored: Mapping[str, Any], now: Mapping[str, Any], place: str) -> list[Problem]:
    """Return a problem each if data or model differ from those of the store at ``place``."""
    problems = []
    if (function := study.function) is not None:
        before, digest = stored.get("train"), now["train"]
        if before is not None and before != digest:
            message = f"is other code now ({digest[:8]}) than when {place} was started ({str(before)[:8]})"
            problems.append(Problem("task", "train", message, _RESTORE, function.train))
        return problems
    before, digest = stored.get("data"), now["data"]
    if before is not None and before != digest:
        name = study.built_in.dataset.name
        message = f"gives other rows now ({digest[:8]}) than when {place} was started ({str(before)[:8]})"
        problems.append(Problem("task", "dataset", message, _RESTORE, name))
    model, other = now.get("model"), stored.get("model")
    if model is not None and other is not None and not models_agree(model, other):
        message = f"computes other values now than when {place} was started, from the same seed and rows"
        problems.append(Problem("task", "model", message, _RESTORE, study.built_in.model.name))
    return problems


def check_continues(study: Study, place: Location, info: StudyInfo, forget: Collection[str]) -> None:
    """Raise ``StoreError`` if trials of a run would be mixed with trials on other data or another model.

    ``info`` describes the study now. Nothing is mixed if no trial of the run is kept (all failed, for
    example).
    """
    store = open_store(place)
    problems = differences(study, store.study.fingerprints, info.fingerprints, str(place))
    if not problems:
        return
    kept = any(
        record.trial_id not in forget and record.status is not Status.FAILED
        for record in store.trial_records()
    )
    if kept or (place / FOLDER).names():
        raise StoreError(problems)


def check_worker(
    study: Study, expected: Any, shared: ray.ObjectRef[Any], cpus: float, search_path: tuple[str, ...]
) -> None:
    """Build a user's own model in a worker; raises ``ContractError`` if it differs from the driver's.

    ``expected`` is the driver's fingerprint of it, None for other models. ``shared`` refers to
    ``(Study, TaskData)``.
    """
    if expected is None:
        return
    actual = _fingerprint_in_worker(shared, cpus, search_path)
    if not models_agree(expected, actual):
        message = "computes other values in a worker than in the process that started the study"
        remedy = (
            "Draw constants at module level from seeded generators (default_rng(0)), let nothing depend on "
            "the order of a set or of a folder's files, and have the same module on every machine."
        )
        raise ContractError(Problem("task", "model", message, remedy, study.built_in.model.name))


def _fingerprint_in_worker(shared: ray.ObjectRef[Any], cpus: float, search_path: tuple[str, ...]) -> Any:
    # Ray would repeat a task without end whose worker is killed for its node's memory.
    task: Callable[..., Any] = ray.remote(_fingerprint).options(num_cpus=cpus, max_retries=0).remote
    causes: list[Exception] = []
    while len(causes) < _ATTEMPTS:
        try:
            return ray.get(task(shared, search_path))
        except RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise ContractError(error.cause.problems) from error
            raise
        except (NodeDiedError, OutOfMemoryError, WorkerCrashedError) as error:
            causes.append(error)
    first_line = describe(causes[-1]).partition("\n")[0]
    message = f"building it ended its worker {_ATTEMPTS} times: {first_line}"
    remedy = "Free memory on the machine, or use a smaller model."
    raise ClusterError(Problem("task", "model", message, remedy)) from causes[-1]


def _fingerprint(shared: tuple[Study, TaskData], search_path: tuple[str, ...]) -> Any:
    sys.path += [folder for folder in search_path if folder not in sys.path]
    study, data = shared
    return model_fingerprint(study.built_in, data)
