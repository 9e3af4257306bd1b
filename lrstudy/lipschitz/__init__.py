"""The Lipschitz learning rate: ``LipschitzLR`` for anyone's training loop, and the pure functions behind it.

``constants`` (L per loss), ``rules`` (L to a rate, per optimizer), ``measure`` (norms on a model) and
``rate`` (the state machine) know nothing of schedulers; ``reference`` holds readable numpy twins.
"""

from lrstudy.lipschitz.constants import BOUNDS, LOSSES, LossShape
from lrstudy.lipschitz.head import find_head
from lrstudy.lipschitz.norms import batch_quantities, weight_norm
from lrstudy.lipschitz.rate import LipschitzRate, Measurement, RateSettings
from lrstudy.lipschitz.rules import RULES, Averages
from lrstudy.lipschitz.scheduler import LipschitzLR

__all__ = [
    "BOUNDS",
    "LOSSES",
    "RULES",
    "Averages",
    "LipschitzLR",
    "LipschitzRate",
    "LossShape",
    "Measurement",
    "RateSettings",
    "batch_quantities",
    "find_head",
    "weight_norm",
]
