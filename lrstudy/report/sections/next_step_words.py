"""The next step of a study in a sentence: the extension, its cost, and its chance to decide."""

from __future__ import annotations

from lrstudy.analysis.summary import NextStep, Summary
from lrstudy.report.figures.common import by_name
from lrstudy.report.text import listed, percent, span
from lrstudy.rules.counting import counted

# The option of the extension in words, with the new total.
_WORDS = {
    "replicates": "{} tunings of each schedule",
    "most": "up to {} tunings of each",
    "confirm_seeds": "{} confirm seeds for each winner",
}


def next_step_sentence(study: Summary, run: str) -> str:
    """Return what would decide the open comparisons at the primary target; empty if none is open.

    ``run`` is the run as the command line names it.
    """
    step = study.next_step
    if step is None:
        return ""
    command = step.command(run)
    if command is None or step.what is None:
        return _hopeless(step)
    if step.one_tuning:
        why = "One tuning of each schedule: another may find other winners"
        return f"{why}. Run it again with more tunings: {command} ({cost_and_chance(step)})."
    words = _WORDS[step.what].format(step.value)
    return f"To decide {by_name(list(step.open))}: {words}, {command} ({cost_and_chance(step)})."


def cost_and_chance(step: NextStep) -> str:
    """Return what an extension adds, and the chances that it decides."""
    cost = f"{counted(step.trials, 'trial')} and {span(step.clock, round(step.time))}"
    return f"at most {cost} more{_chances(step)}"


def _chances(step: NextStep) -> str:
    """Return the chances of the comparisons that are the most likely to be decided."""
    known = sorted(
        ((chance, name) for name, chance in step.chances.items()), key=lambda one: (-one[0], one[1])
    )
    if not known:
        return ""
    first = listed([f"{percent(round(chance, 2))} for {name}" for chance, name in known[:3]])
    return f"; chance to decide as the data look now: {first}{', less for others' if known[3:] else ''}"


def _hopeless(step: NextStep) -> str:
    names = by_name(list(step.open))
    if not step.chances:
        return f"To decide {names}, more runs of each schedule are needed."
    best = step.most_likely
    return (
        f"No extension is likely to decide {names}: with eight times as many replicates or seeds the chance "
        f"is {percent(round(step.chances[best], 2))} at most ({best})."
    )
