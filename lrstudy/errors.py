"""Every exception that lrstudy raises on purpose, and the exit code each one gives the command line.

::

    LrStudyError                    1   base of all; the CLI shows its text and nothing else
    ├── InputError                  2   what the user gave cannot be used: one or more ``Problem``s
    │   ├── StudyFileError          2   the study file or a ``--set``
    │   ├── DataError               2   a data set that is missing, truncated or altered
    │   │   └── MissingDataError    2   one that is not fetched
    │   ├── ContractError           2   a user's own dataset, model or schedule breaks its contract
    │   ├── StoreError              2   a run folder that cannot be read or belongs to another study
    │   ├── SchedulerError          2   arguments of a scheduler used on its own (also a ``ValueError``)
    │   └── ClusterError            2   a Ray cluster that cannot be reached or lacks what was asked
    └── StudyStoppedError           3   the study ended before all trials did; it can be resumed
        └── StudyInterruptedError 130   the same, on Ctrl-C, SIGTERM or SIGHUP
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lrstudy.safe_text import safe_text

EXIT_DONE: Final = 0
EXIT_TRIALS_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_STOPPED: Final = 3
EXIT_INTERRUPTED: Final = 130

NO_VALUE: Final = object()


@dataclass(frozen=True)
class Problem:
    """One problem with the input: its place, the problem itself, and the remedy.

    ``where`` is a file, folder or "command line"; ``key`` a dotted path inside it (may be empty);
    ``value`` the offending value as given.
    """

    where: str
    key: str
    message: str
    remedy: str
    value: Any = NO_VALUE
    line: int | None = None

    def __str__(self) -> str:
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        value = "" if self.value is NO_VALUE else f" = {_shorten(self.value)}"
        subject = f"{self.key}{value}" if self.key else value.removeprefix(" = ")
        told = f"{place}: {subject + ': ' if subject else ''}{self.message}. {_sentence(self.remedy)}"
        return safe_text(told)


class LrStudyError(Exception):
    """Base of every error that lrstudy raises on purpose."""

    exit_code: int = EXIT_TRIALS_FAILED


class InputError(LrStudyError):
    """Input that cannot be used; ``problems`` lists everything that is wrong with it."""

    exit_code = EXIT_BAD_INPUT

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class StudyFileError(InputError):
    """A study file, or a ``--set`` override of it, that cannot be used."""


class DataError(InputError):
    """A data set that is missing, truncated or altered."""


class MissingDataError(DataError):
    """A data set that is not fetched."""


class ContractError(InputError):
    """A user's own data set, model or schedule that breaks its contract."""


class StoreError(InputError):
    """A run folder that cannot be read or written, or that belongs to another study."""


class SchedulerError(InputError, ValueError):
    """Arguments of a scheduler that it cannot use."""


class ClusterError(InputError):
    """A Ray cluster that cannot be reached, or lacks the resources that the study needs."""


class StudyStoppedError(LrStudyError):
    """A study that ended before all of its trials did; running it again continues it."""

    exit_code = EXIT_STOPPED


class StudyInterruptedError(StudyStoppedError):
    """A study that ended early on a signal: Ctrl-C, SIGTERM or SIGHUP."""

    exit_code = EXIT_INTERRUPTED


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a remedy that names the most similar known words, or all of them.

    >>> did_you_mean("cylic", ["cyclic", "fixed"])
    "Did you mean 'cyclic'?"
    >>> did_you_mean("zzz", ["cyclic", "fixed"])
    'Known: cyclic, fixed.'
    >>> did_you_mean("steps", ["test"])
    'Known: test.'
    """
    close = [name for name in difflib.get_close_matches(word, known) if _is_likely(word, name)]
    return f"Did you mean {close[0]!r}?" if close else all_known(known)


def all_known(known: Sequence[str]) -> str:
    """Return a remedy that lists the known names.

    >>> all_known([])
    'There is none to choose from.'
    """
    return f"Known: {', '.join(known)}." if known else "There is none to choose from."


def with_article(noun: str) -> str:
    """Return the noun with its indefinite article.

    >>> with_article("optimizer"), with_article("model")
    ('an optimizer', 'a model')
    """
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _is_likely(word: str, name: str) -> bool:
    """Return True if one is a part of the other, or at most a third of the letters was mistyped."""
    one, other = (re.sub(r"[\s_-]", "", text.lower()) for text in (word, name))
    short, long = sorted((one, other), key=len)
    return (len(short) > 2 and short in long) or _mistypes(one, other) <= max(1, len(one) // 3)


def _mistypes(one: str, other: str) -> int:
    """Return the edit distance of two words: letters added, dropped, replaced or swapped with the next."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        above, before, row = before, row, [i]
        for j, wanted in enumerate(other, start=1):
            fewest = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                fewest = min(fewest, above[j - 2] + 1)
            row.append(fewest)
    return row[-1]


def _sentence(remedy: str) -> str:
    """Return the text with a full stop, unless it ends with a command to copy."""
    ends = not remedy or not remedy[-1].isalnum() or ": pip " in remedy or ": lrstudy " in remedy
    return remedy if ends else f"{remedy}."


def _shorten(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
