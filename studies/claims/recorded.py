"""Sentences on the paper's recorded runs, from ``reports/paper/summary.json``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from lrstudy.report.text import listed

Summary = dict[str, Any]
OPTIMIZERS: Final = {"sgd": "SGD", "momentum": "momentum", "rmsprop": "RMSprop", "adam": "Adam"}
LARGE: Final = ("sgd", "momentum")


def times(value: float) -> str:
    """Return a factor, to two significant digits or to the whole number."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def ends(values: Iterable[float], form: str = "") -> str:
    """Return the smallest and the largest value, or the one that there is."""
    found = sorted(values)
    low, high = (times(value) if not form else format(value, form) for value in (found[0], found[-1]))
    return low if low == high else f"{low} to {high}"


def _rates(summary: Summary, optimizers: Iterable[str]) -> list[dict[str, Any]]:
    known = set(optimizers)
    return [
        row for row in summary["rates"] if row["optimizer"] in known and row["times_baseline"] is not None
    ]


def wins(summary: Summary, optimizers: Iterable[str] = tuple(OPTIMIZERS)) -> tuple[int, int]:
    """Return the printed comparisons with an untuned baseline that the rule wins, and their number."""
    rows = [row for row in summary["against_baselines"] if row["optimizer"] in set(optimizers)]
    return sum(row["points"] > 0 for row in rows), len(rows)


def large_rates(summary: Summary) -> str:
    large, adam = _rates(summary, LARGE), _rates(summary, ["adam"])
    above = sum(row["points"] > 0 for row in large)
    logged = ends(row["logged_at_10"] for row in large)
    return (
        f"With SGD and momentum the {len(large)} logged rates are {logged} at epoch 10 and "
        f"{ends(row['times_baseline'] for row in large)} times their untuned baselines' over the run; "
        f"{above} of {len(large)} end above the baseline. With Adam they are "
        f"{ends(row['times_baseline'] for row in adam)} times, and {sum(row['points'] > 0 for row in adam)} "
        f"of {len(adam)} end above it. There is one run of each, and no interval."
    )


def decay(summary: Summary) -> str:
    rates, mnist = summary["rates"], summary["mnist"]["rates"]
    falling = [row for row in rates if row["decay_share_of_fall"] is not None]
    shares = ends((100 * row["decay_share_of_fall"] for row in falling), ".0f")
    return (
        f"From epoch 10 to the last the rule lowers its rate in {len(falling)} of {len(rates)} runs, by a "
        f"factor of {ends(row['logged_fall'] for row in falling)}, and raises it in "
        f"{len(rates) - len(falling)}. Keras's decay, which baselines had too, divides the rates by "
        f"{ends(row['divided_by'] for row in rates)}: {shares}% of the fall where the rate falls. On MNIST, "
        f"without that decay, the rate is {mnist['first']:.2f} in the first epoch and {mnist['last']:.2f} in "
        f"the last, between {mnist['lowest']:.2f} and {mnist['highest']:.2f}."
    )


def tuning(summary: Summary) -> str:
    rates = summary["rates"]
    by_hand = sum(bool(row["set_by_hand_at"]) for row in rates)
    momentum = [row for row in rates if row["optimizer"] == "momentum"]
    started = listed([f"{value:g}" for value in sorted({row["first_epochs"][0] for row in momentum})], "or")
    weights = {row["l2"] for row in rates}
    return (
        f"{by_hand} of {len(rates)} runs have epochs whose rate nothing computed; all {len(momentum)} "
        f"momentum runs begin at {started}, picked by trials of five epochs. λ, which is both in L and the "
        f"decay over time, takes {len(weights)} values from {min(weights):g} to {max(weights):g}, chosen for "
        f"each network."
    )


def faster(summary: Summary) -> str:
    passed = summary["adaptive_passes_fixed"]["cifar-10-resnet-20-v1-sgd"]
    won = {}
    for lr in (0.01, 0.001):
        rows = [row for row in summary["against_baselines"] if row["baseline_lr"] == lr]
        won[lr] = f"{sum(row['points'] > 0 for row in rows)} of {len(rows)}"
    tuned = summary["tuned_step_decay_percent"]
    below = sum(row["best_recorded_percent"] < row["percent"] for row in tuned)
    return (
        f"By printed accuracies the rule wins {won[0.01]} comparisons with an untuned baseline at 0.01 and "
        f"{won[0.001]} with one at 0.001. No tuned rate was run: on {below} of {len(tuned)} networks the "
        f"step decay that their own papers tuned is above the best recorded run. Recomputed and computed "
        f"once were compared on one seed: on ResNet-20 the one passes the other's best at epoch "
        f"{passed['first']}, by means of ten epochs at {passed['means_of_10']}."
    )


def each_optimizer(summary: Summary) -> str:
    counts = {name: wins(summary, [optimizer]) for optimizer, name in OPTIMIZERS.items()}
    parts = listed([f"{won} of {of} with {name}" for name, (won, of) in counts.items()])
    rises = summary["auto_adam"]
    made = ends((row["missing_correction"] for row in rises), ".2f")
    return (
        f"The rule beats the untuned baseline in {parts}. Two more Adam runs (ResNet-164, CIFAR-100) were "
        f"stopped after a few epochs and are not in the table. Auto-Adam's rate rises for want of a bias "
        f"correction, whose lack makes a factor of {made} from epoch 50 to the end: with it the "
        f"{len(rises)} logged rates would have changed by a factor of "
        f"{ends((row['corrected'] for row in rises), '.2f')}. All recorded runs have softmax cross-entropy."
    )


def last_layer(_: Summary) -> str:
    return (
        "The authors test nowhere that the last layer's gradient is the largest (their equation 1), on which "
        "the rule rests. Their L bounds neither that gradient nor the loss's smoothness."
    )
