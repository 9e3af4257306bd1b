"""Signs that a schedule was not really tuned."""

from __future__ import annotations

from typing import Any

import pytest
from analysis_samples import LR, Sample

from lrstudy.analysis.tuning_checks import toss_up, toss_up_warnings, tuning_warnings
from lrstudy.records import Phase
from lrstudy.rules.metrics import METRICS
from lrstudy.rules.objective import Objective

GRID = [0.003, 0.01, 0.03, 0.1, 0.3, 0.9]


def warnings(
    tuned: list[tuple[dict[str, Any], float | None]],
    confirm: tuple[float, ...] = (),
    space: dict[str, Any] | None = None,
    metric: str = "val_accuracy",
) -> list[str]:
    space = {"lr": LR} if space is None else space
    sample = Sample({"fixed": space}, metric=metric)
    for params, value in tuned:
        status = "completed" if value is not None else "diverged"
        sample.add("fixed", [value], phase="tune", params=params, status=status)
    for seed, value in enumerate(confirm):
        sample.add("fixed", [value], seed=seed)
    columns = sample.columns()
    phases = [columns.of("fixed", phase) for phase in (Phase.TUNE, Phase.CONFIRM)]
    return tuning_warnings("fixed", space, *phases, Objective("best", METRICS[metric]))


def tuned(values: list[float | None], lrs: list[float] = GRID) -> list[tuple[dict[str, Any], float | None]]:
    return [({"lr": lr}, value) for lr, value in zip(lrs, values, strict=True)]


def test_a_best_value_inside_its_space_gives_no_warning() -> None:
    assert warnings(tuned([0.5, 0.6, 0.9, 0.7, 0.6, 0.5])) == []


@pytest.mark.parametrize(
    ("best", "words"),
    [
        (0.001, "low end of its space, 0.001 to 1. A better one may be beyond: lower its low."),
        (0.99, "high end of its space, 0.001 to 1. A better one may be beyond: raise its high."),
    ],
)
def test_a_best_value_at_an_edge_says_which_way_to_widen(best: float, words: str) -> None:
    (found,) = warnings(tuned([0.5, 0.9, 0.5], [0.03, best, 0.1]))
    assert found.startswith("fixed: the best lr")
    assert found.endswith(words)


def test_a_searched_value_of_the_task_has_edges_too() -> None:
    space = {
        "optimizer.weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
        "task.batch_size": [8, 16, 32, 64],
    }
    trials = [
        ({"optimizer.weight_decay": decay, "task.batch_size": size}, value)
        for decay, size, value in ((9e-3, 64, 0.9), (1e-5, 16, 0.6), (1e-4, 32, 0.5))
    ]
    decay, size = warnings(trials, space=space)
    assert decay.startswith("fixed: the best optimizer.weight_decay (0.009) is at the high end of its space")
    assert size.endswith("8 to 64. A better one may be beyond: add a higher choice.")


def test_the_edge_of_a_logarithmic_space_is_judged_on_its_logarithm() -> None:
    # 0.03 is at 3% of 0.001 … 1 and at 49% of it on a logarithmic scale.
    assert warnings([({"lr": 0.03}, 0.9), ({"lr": 0.5}, 0.5)]) == []
    straight = {"lr": {"low": 0.001, "high": 1.0, "log": False}}
    assert "low end" in warnings([({"lr": 0.03}, 0.9), ({"lr": 0.5}, 0.5)], space=straight)[0]


def test_a_best_is_the_smallest_where_less_is_better() -> None:
    found = warnings([({"lr": 0.03}, 2.0), ({"lr": 0.99}, 0.1)], metric="val_loss")
    assert "high end" in found[0]


@pytest.mark.parametrize("low", [0.1, 0.0])
def test_a_space_of_a_single_point_has_no_edge(low: float) -> None:
    assert warnings(tuned([0.5, 0.9], [low, low]), space={"lr": {"low": low, "high": low}}) == []


def test_choices_and_parameters_that_were_not_searched_have_no_edge() -> None:
    trials: list[tuple[dict[str, Any], float | None]] = [
        ({"mode": "triangular", "lr": 0.001}, 0.9),
        ({"mode": "b", "lr": 1}, 0.5),
    ]
    assert warnings(trials, space={"mode": ["triangular", "b"]}) == []


def test_nothing_to_search_or_no_result_gives_no_warning() -> None:
    assert warnings(tuned([0.5, 0.9], [0.001, 0.001]), space={}) == []
    assert warnings(tuned([None, None], [0.001, 1.0])) == []
    assert warnings([]) == []


def test_a_curve_still_rising_in_the_last_quarter_asks_for_more_trials() -> None:
    inside = [0.01 + 0.01 * i for i in range(8)]
    rising = warnings(tuned([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], inside))
    assert rising == [
        (
            "fixed: its best value still improved in the last quarter of its 8 measured configurations: "
            "more tuning trials may find a better one."
        )
    ]
    assert warnings(tuned([0.8, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], inside)) == []


def test_a_winner_that_fell_back_on_fresh_seeds_won_by_luck() -> None:
    found = warnings(tuned([0.5, 0.9], [0.01, 0.1]), confirm=(0.70, 0.71, 0.72))
    assert found == [
        (
            "fixed: the winner reached 0.9 when it was tuned, its confirm runs 0.71 on average: "
            "it won partly by luck."
        )
    ]


def tossed(values: list[float | None], lrs: list[float], confirm: tuple[float, ...]) -> bool:
    sample = Sample({"fixed": {"lr": LR}})
    for params, value in tuned(values, lrs):
        sample.add("fixed", [value], phase="tune", params=params)
    for seed, result in enumerate(confirm):
        sample.add("fixed", [result], seed=seed)
    columns = sample.columns()
    phases = [columns.of("fixed", phase) for phase in (Phase.TUNE, Phase.CONFIRM)]
    return toss_up(*phases, Objective("best", METRICS["val_accuracy"]))


def test_a_winner_within_the_seeds_noise_of_the_runner_up_is_a_toss_up() -> None:
    spread = (0.88, 0.90, 0.92)
    assert tossed([0.895, 0.9, 0.5], [0.01, 0.1, 0.2], spread)
    assert not tossed([0.8, 0.9, 0.5], [0.01, 0.1, 0.2], spread)


def test_a_winner_that_was_tried_twice_is_not_its_own_runner_up() -> None:
    assert not tossed([0.9, 0.9, 0.5], [0.1, 0.1, 0.2], (0.88, 0.90, 0.92))


def test_two_seeds_do_not_tell_the_noise() -> None:
    assert not tossed([0.895, 0.9], [0.01, 0.1], (0.8, 0.9))


def test_all_toss_ups_share_one_sentence() -> None:
    assert toss_up_warnings([]) == []
    (sentence,) = toss_up_warnings(["fixed", "step"])
    assert sentence.startswith("fixed, step: the winner and the runner-up")


def test_the_outermost_value_tried_is_said_to_be_near_an_end_not_at_it() -> None:
    # 0.5 is at 90% of the logarithmic space: with nothing beyond, no sign of a turn.
    (found,) = warnings(tuned([0.1, 0.2, 0.3, 0.9], [0.01, 0.03, 0.1, 0.5]))
    assert "is the highest that was tried, 10% from the high end of its space, 0.001 to 1." in found
    assert warnings(tuned([0.1, 0.2, 0.9, 0.3], [0.01, 0.03, 0.5, 0.6])) == []
    assert warnings(tuned([0.1, 0.2, 0.9], [0.01, 0.03, 0.5])) == [], "three tell too little"


def test_a_best_at_79_percent_of_its_range_is_not_said_to_lie_at_its_end() -> None:
    best = 0.001 * 1000**0.79
    assert warnings(tuned([0.1, 0.2, 0.9, 0.3], [0.01, 0.03, best, 0.6])) == []
    (found,) = warnings(tuned([0.1, 0.2, 0.3, 0.9], [0.01, 0.03, 0.1, best]))
    assert "lies at" not in found
    assert "is the highest that was tried, 21% from the high end" in found
    (low,) = warnings(tuned([0.9, 0.2, 0.3, 0.1], [0.001 * 1000**0.21, 0.03, 0.1, 0.3]))
    assert "is the lowest that was tried, 21% from the low end" in low


def test_a_range_that_was_extended_is_judged_by_what_was_tried() -> None:
    lrs = [0.01, 0.1, 0.99, 5.0, 9.0]
    assert warnings(tuned([0.1, 0.2, 0.3, 0.9, 0.4], lrs)) == []
    assert "0.001 to 9." in warnings(tuned([0.1, 0.2, 0.3, 0.4, 0.9], lrs))[0]


def test_a_range_that_ends_at_another_parameter_is_judged_at_its_own_end_only() -> None:
    space = {"base_lr": {"low": 1e-4, "high": "max_lr", "log": True}}
    high = [({"max_lr": 1.0, "base_lr": 0.99}, 0.9), ({"max_lr": 1.0, "base_lr": 0.1}, 0.5)]
    low = [({"max_lr": 1.0, "base_lr": 1.1e-4}, 0.9), ({"max_lr": 1.0, "base_lr": 0.1}, 0.5)]
    assert warnings(high, space=space) == []
    assert "lower its low" in warnings(low, space=space)[0]


def test_of_four_numbers_to_choose_from_the_outermost_is_an_end() -> None:
    trials = tuned([0.1, 0.2, 0.3, 0.9], [0.01, 0.03, 0.1, 0.3])
    (found,) = warnings(trials, space={"lr": [0.01, 0.03, 0.1, 0.3]})
    assert "the best lr (0.3) is the highest choice of its space, 0.01 to 0.3." in found
    assert found.endswith("A better one may be beyond: add a higher choice.")
    assert warnings(trials, space={"lr": [0.03, 0.1, 0.3]}) == []


def idle(falls: list[float], values: list[float]) -> list[str]:
    sample = Sample({"fixed": {"lr": LR}})
    for lr, fall, value in zip([0.002, 0.01, 0.05, 0.2, 0.8], falls, values, strict=True):
        sample.add("fixed", [value, value], phase="tune", params={"lr": lr})
        sample.epoch_rows[-2]["train_loss"], sample.epoch_rows[-1]["train_loss"] = 2.0, 2.0 * (1 - fall)
    columns = sample.columns()
    phases = [columns.of("fixed", phase) for phase in (Phase.TUNE, Phase.CONFIRM)]
    return tuning_warnings("fixed", {"lr": LR}, *phases, Objective("best", METRICS["val_accuracy"]))


def test_where_nothing_was_learned_the_training_loss_says_which_way_to_widen() -> None:
    lucky = [0.1, 0.9, 0.1, 0.1, 0.1]
    (rising,) = idle([0.001, 0.002, 0.003, 0.005, 0.004], lucky)
    assert rising == (
        "fixed: hardly learned: the training loss of no tuning trial fell by more than 0.5%, so luck chose "
        "the winner. It fell faster the higher lr was: raise its high, now 1."
    )
    (falling,) = idle([0.005, 0.004, 0.003, 0.002, 0.001], lucky)
    assert "lower its low, now 0.001" in falling
    (neither,) = idle([0.001, 0.005, 0.001, 0.004, 0.002], lucky)
    assert neither.endswith("so luck chose the winner.")
    assert idle([0.1, 0.2, 0.3, 0.5, 0.4], lucky) == []


def test_a_configuration_that_ran_on_two_seeds_is_judged_by_its_mean() -> None:
    lrs = [0.99, 0.99, 0.1, 0.1, 0.01, 0.02]
    assert warnings(tuned([0.9, 0.1, 0.6, 0.6, 0.1, 0.1], lrs)) == []


def test_an_end_is_not_flagged_where_a_value_well_inside_does_as_well() -> None:
    lrs, values = [0.01, 0.2, 0.95, 0.98], [0.5, 0.89, 0.895, 0.9]
    noisy, exact = (0.87, 0.9, 0.93), (0.8999, 0.9, 0.9001)
    assert warnings(tuned(values, lrs), confirm=noisy) == []
    assert "high end" in warnings(tuned(values, lrs), confirm=exact)[0]
    near = tuned([0.5, 0.6, 0.895, 0.9], lrs)
    assert "high end" in warnings(near, confirm=noisy)[0], "its neighbour is at the end as well"
