"""Every augmentation of training images that a study file can name."""

from __future__ import annotations

from typing import Final

from lrstudy.catalog.parameter import Component, Parameter, by_name, fraction

AUGMENTATIONS: Final = by_name(
    Component("flip", "Mirror left and right.", (fraction("probability", "Chance of it, in [0, 1)", 0.5),)),
    Component(
        "shift",
        "Move by whole pixels, edges repeated.",
        (fraction("fraction", "Largest move as a fraction of the side, in (0, 1)", 0.1, open_low=True),),
    ),
    Component(
        "crop",
        "Pad with zeros and cut the original size at a random place.",
        (Parameter("padding", "int", "Pixels of padding on each side, at least 1", 4, low=1, tunable=False),),
    ),
    Component(
        "rotate",
        "Turn about the centre, edges repeated.",
        (
            Parameter(
                "degrees",
                "float",
                "Largest angle, above 0, at most 180",
                15.0,
                0.0,
                180.0,
                open_low=True,
                tunable=False,
            ),
        ),
    ),
    Component(
        "zoom",
        "Stretch height and width, each by its own factor, edges repeated.",
        (fraction("fraction", "Factors from 1 - fraction to 1 + fraction, in (0, 1)", 0.1, open_low=True),),
    ),
)
"""A study file names them as ``"shift"`` or, with the value of their one parameter, ``"shift:0.1"``."""


def read_augmentation(text: str) -> tuple[str, float | int] | str:
    """Return name and value of an augmentation as a study file gives it, or the problem with it.

    >>> read_augmentation("shift:0.2")
    ('shift', 0.2)
    >>> read_augmentation("crop")
    ('crop', 4)
    >>> read_augmentation("shift:2")
    'fraction must be below 1'
    """
    name, colon, given = text.partition(":")
    component = AUGMENTATIONS.get(name)
    if component is None:
        return f"is not an augmentation; known: {', '.join(AUGMENTATIONS)}"
    (parameter,) = component.parameters
    value: object = parameter.default
    if colon:
        try:
            value = int(given) if parameter.type == "int" else float(given)
        except ValueError:
            value = given
    problem = parameter.problem(value)
    if problem is not None:
        return f"{parameter.name} {problem}"
    assert isinstance(value, int | float)
    return name, value
