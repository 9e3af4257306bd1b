"""The path on which workers find modules. Mirrors ``job_config.py``, ``_private/worker.py`` of Ray 2.60."""

from __future__ import annotations

from ray.job_config import JobConfig


class _PathlessJob(JobConfig):
    """A job whose workers look for modules where any Python process does.

    ``_private/worker.py`` adds the driver's current folder and its script's to this list, and workers put
    each entry before all that is installed: a ``timeit.py`` there ends every worker. A new list each time
    drops what is added.
    """

    @property
    def _py_driver_sys_path(self) -> list[str]:
        return []

    @_py_driver_sys_path.setter
    def _py_driver_sys_path(self, value: list[str]) -> None:
        pass


def pathless_job() -> JobConfig:
    """Return a job whose workers do not look for modules in the driver's folders.

    Where Ray names its list otherwise, the workers look there as they do for any job of Ray.
    """
    return _PathlessJob()
