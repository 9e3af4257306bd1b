"""What our studies measure of each claim, study by study, and the ruling in a sentence."""

from __future__ import annotations

from statistics import median
from typing import Final

from kept_reports import FAST, SLOW, primary

from claims import measured, recorded
from claims.evidence import Evidence, name_of
from claims.measured import rules, tuned_rules
from claims.recorded import ends
from claims.sweeps import without_tuning
from lrstudy.report.text import listed

# What the paper or its sibling has a rule or a constant for.
OPTIMIZERS: Final = {
    "sgd": "SGD",
    "momentum": "momentum",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
}
LOSSES: Final = ("cross-entropy", "binary-cross-entropy", "least-squares", "mae", "quantile", "huber")


def large_rates(evidence: Evidence) -> list[str]:
    return [
        f"{name_of(study, one)}: {measured.trains(study, one)}"
        for study, one in rules(evidence.studies)
        if measured.rates(study, one)
    ]


def large_rates_so(evidence: Evidence) -> str:
    cases = list(rules(evidence.studies))
    calm = sum(not one["diverged"] for _, one in cases)
    reached = sum(primary(one)["hits"] == primary(one)["runs"] > 0 for _, one in cases)
    none = sum(primary(one)["hits"] == 0 for _, one in cases)
    wild = [
        f"{study.link} ({one['diverged']} of {one['tune_trials'] + one['confirm_trials']})"
        for study, one in cases
        if one["diverged"]
    ]
    word = "Yes" if calm == reached == len(cases) else "In part" if 2 * calm > len(cases) else "No"
    text = (
        f"{word}: in {calm} of {len(cases)} cases over the kept studies no trial of the untuned rule "
        f"diverges, in {reached} of {len(cases)} every run reaches its target, and in {none} none does, "
        f"whether it diverges or stays where it began"
    )
    return f"{text}; trials diverge on {listed(wild)}." if wild else f"{text}."


def decay(evidence: Evidence) -> list[str]:
    return [f"{name_of(study, one)}: {measured.moves(study, one)}" for study, one in evidence.moving]


def decay_so(evidence: Evidence) -> str:
    found = [measured.direction(study, one) for study, one in evidence.moving]
    rows = evidence.summary["rates"]
    rising = sum(row["decay_share_of_fall"] is None for row in rows)
    falls = found.count("falls")
    word = "Yes" if falls == len(found) and not rising else "It depends on the task" if falls else "No"
    return (
        f"{word}: over the kept studies the computed rate falls in {falls}, rises in "
        f"{found.count('rises')} and stays in {found.count('stays')} of {len(found)} cases, and it rises in "
        f"{rising} of {len(rows)} recorded runs, where Keras's decay makes most of the fall of the others."
    )


def tuning(evidence: Evidence) -> list[str]:
    found = []
    for study, one in tuned_rules(evidence.against_tuned):
        factors = measured.scales(one)
        text = f"{study.link}, {one['name']}: it {measured.speed_of(study, one)}"
        if factors:
            chosen = f"{median(factors):.2f} ({ends(factors, '.2f')})"
            text += f"; the factor on the rule's rate that tuning chooses is {chosen}"
        found.append(text)
    for study, one in rules(evidence.studies):
        rival = measured.against_tuned(study, one)
        if rival is not None:
            own, constant, quotient = map(measured.rate, rival)
            found.append(
                f"{name_of(study, one)}: the rule's median rate, {own}, is {quotient} times the median tuned "
                f"constant one, {constant}"
            )
    return found


def tuning_so(evidence: Evidence) -> str:
    parts = []
    if factors := evidence.factors:
        parts.append(
            f"tuning multiplies the rule's rate by {ends(factors, '.2f')} (median {median(factors):.2f} of "
            f"{len(factors)} tunings)"
        )
    if found := evidence.quotients:
        low, middle, high = (measured.rate(value) for value in (found[0], median(found), found[-1]))
        parts.append(
            f"the rule's rate is {low} to {high} times the tuned constant one (median {middle} of "
            f"{len(found)} studies)"
        )
    return f"{evidence.verdict}: {listed(parts)}."


def faster(evidence: Evidence) -> list[str]:
    compared = evidence.against_tuned
    found = []
    for study, one in rules(evidence.studies):
        text = f"{name_of(study, one)}: it {measured.speed_of(study, one)}"
        rival = None if study in compared else study.get("tuned")
        if rival is not None:
            text += f"; a tuned constant rate {measured.speed_of(study, rival)}"
        found.append(text)
    return found


def faster_so(evidence: Evidence) -> str:
    verdicts = [primary(one)["verdict"] for _, one in rules(evidence.against_tuned)]
    quick, slow = (sum(verdict in kind for verdict in verdicts) for kind in (FAST, SLOW))
    never, (won, of) = verdicts.count("never"), recorded.wins(evidence.summary)
    return (
        f"{evidence.verdict}: against a tuned constant rate the untuned rule is faster in {quick} and slower "
        f"or never there in {slow} of {len(verdicts)} cases, {never} of them never; its {won} wins of {of} "
        f"in the paper are against rates that nobody tuned."
    )


def each_optimizer(evidence: Evidence) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for study, one in rules(evidence.studies):
        against = f"{measured.verdict_word(one)}, against {study.summary['reference']}"
        name = f"{name_of(study, one)} ({against})"
        found.setdefault(measured.task_of(study), []).append(name)
    return [
        f"{OPTIMIZERS.get(optimizer, optimizer)}, {loss}: {listed(names)}"
        for (optimizer, loss), names in sorted(found.items())
    ]


def not_measured(evidence: Evidence) -> list[str]:
    """Return the optimizers and losses that no kept study has."""
    found = [measured.task_of(study) for study, _ in rules(evidence.studies)]
    optimizers, losses = {optimizer for optimizer, _ in found}, {loss for _, loss in found}
    absent = [name for key, name in OPTIMIZERS.items() if key not in optimizers]
    return [*absent, *(loss for loss in LOSSES if loss not in losses)]


def each_optimizer_so(evidence: Evidence) -> str:
    won, of = recorded.wins(evidence.summary, ["adam"])
    verdicts = [primary(one)["verdict"] for _, one in rules(evidence.studies)]
    lost, quick = (sum(verdict in each for verdict in verdicts) for each in (SLOW, FAST))
    word = "No" if lost > quick else "In part" if lost else "Yes"
    absent = not_measured(evidence)
    rest = f" Not measured yet: {listed(absent)}." if absent else ""
    return (
        f"{word}: it can be computed for each, but of {len(verdicts)} cases over the kept studies the "
        f"untuned rule is slower than the reference or never there in {lost} and faster in {quick}, and with "
        f"Adam the paper's own runs win {won} of {of} comparisons.{rest}"
    )


def last_layer(evidence: Evidence) -> list[str]:
    found = []
    for study, one in rules(evidence.studies):
        ratios = measured.diagnosed(study, one, "gradient_ratio")
        limits = measured.diagnosed(study, one, "rate_over_limit")
        parts = []
        if ratios:
            below = sum(value < 1 for value in ratios)
            parts.append(
                f"an earlier layer has the largest gradient at {below} of {len(ratios)} evaluations; the "
                f"last layer's is {measured.rate(median(ratios))} times the largest earlier one "
                f"({measured.rate(min(ratios))} to {measured.rate(max(ratios))})"
            )
        if limits:
            parts.append(
                f"the rate is {measured.rate(median(limits))} times the whole network's stability limit "
                f"({measured.rate(min(limits))} to {measured.rate(max(limits))})"
            )
        if parts:
            found.append(f"{name_of(study, one)}: {listed(parts)}")
    return found


def last_layer_so(evidence: Evidence) -> str:
    cases = list(rules(evidence.studies))
    ratios = [found for each in cases if (found := measured.diagnosed(*each, "gradient_ratio"))]
    limits = [found for each in cases if (found := measured.diagnosed(*each, "rate_over_limit"))]
    if not ratios and not limits:
        return "Not measured yet."
    broken = sum(any(value < 1 for value in found) for found in ratios)
    over = sum(median(found) > 1 for found in limits)
    word = "No" if broken or over else "Yes, where it is measured"
    return (
        f"{word}: an earlier layer has the largest gradient at some time in {broken} of {len(ratios)} cases, "
        f"and the rate is mostly above the whole network's stability limit in {over} of {len(limits)}."
    )


def _adam_here(evidence: Evidence) -> str:
    """Return a clause on the rule for Adam in our study, as coded and with the bias correction."""
    parts = [
        f"{'with' if (one['best_params'] or {}).get('bias_correction') else 'without'} the averages' bias "
        f"correction it {measured.speed_of(study, one)}"
        for study, one in rules(evidence.studies)
        if study.name == "optimizer-adam"
    ]
    return f"; in [our study](../optimizer-adam/report.md) {listed(parts)}" if parts else ""


def advice(evidence: Evidence) -> list[str]:
    """Return what follows for someone who considers the rule."""
    found = []
    if factors := evidence.factors:
        text = (
            f"**Take 1/L as a place to search from, not as the rate.** Tuning multiplies it by "
            f"{median(factors):.2f} in the median ({ends(factors, '.2f')})"
        )
        quick = [
            (study, one)
            for study, one in tuned_rules(evidence.against_tuned)
            if primary(one)["verdict"] in FAST
        ]
        if quick:
            where = listed([f"on {study.link} it {measured.speed_of(study, one)}" for study, one in quick])
            text += f"; tuned so, {where}"
        found.append(f"{text}.")
    falls = [row["logged_fall"] for row in evidence.summary["rates"]]
    factors_of_decay = ends(row["divided_by"] for row in evidence.summary["rates"])
    found.append(
        f"**Anneal it.** The paper's runs were annealed by what its text calls weight decay, by a factor of "
        f"{factors_of_decay}; the rule alone lowers no recorded rate by more than {max(falls):.1f}."
    )
    one_by_name = {study.name: one for study, one in rules(evidence.studies)}
    if {"clipping/clipping", "clipping/clipping-torch"} <= set(one_by_name):
        plain, clipped = (
            f"{one['diverged']} of {one['tune_trials'] + one['confirm_trials']}"
            for one in (one_by_name["clipping/clipping-torch"], one_by_name["clipping/clipping"])
        )
        found.append(
            f"**Clip the loss where no batch-norm precedes the last layer, or start lower.** On the paper's "
            f"network {plain} trials explode with torch's cross-entropy and {clipped} with the clipped one "
            f"([clipping](../clipping/README.md))."
        )
    won, of = recorded.wins(evidence.summary, ["adam"])
    found.append(
        f"**With Adam, take another schedule.** The paper's runs win {won} of {of} comparisons with Adam's "
        f"default{_adam_here(evidence)}."
    )
    found += without_tuning(evidence.sweeps)
    found.append(
        "**On full batches of a linear model 1/L is a good rate for the training loss**, near the best of a "
        "grid of constant ones in the median start ([counts](../classic/step-counts.md)): this is the case "
        "that its theory is about."
    )
    return found
