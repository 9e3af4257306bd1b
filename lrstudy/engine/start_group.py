"""The choice of the kind of group that trains the trials."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lrstudy.engine.group import SoloGroup, TrialGroup
from lrstudy.engine.sweep import Sweep, plan_sweep
from lrstudy.engine.trial import Training, TrialConfig
from lrstudy.records import Phase
from lrstudy.spec import Study
from lrstudy.spec.searched_values import study_of_method
from lrstudy.tasks import TaskData


def start_group(
    study: Study,
    data: TaskData | None,
    configs: Sequence[TrialConfig],
    device: torch.device,
    *,
    in_lanes: bool,
) -> TrialGroup:
    """Return a group of these trials, ready to run; ``data`` are None for a user's training function.

    ``in_lanes`` applies to a group of one too: stacked layers round differently from plain ones, but equally
    for any number of neighbours. Without it there is one trial.
    """
    if data is None:
        from lrstudy.engine.function.start_function import start_function

        (config,) = configs
        return start_function(study, config, device)
    if in_lanes:
        from lrstudy.engine.lanes import LaneGroup  # takes half a second, which a worker without lanes saves

        return LaneGroup(study, data, configs, device)
    (config,) = configs
    if config.phase is Phase.RANGE_TEST:
        study = study_of_method(study, config.schedule)
        return SoloGroup(Sweep(study, data, plan_sweep(study, data), config.seed, device))
    return SoloGroup(Training(study, data, config, device))
