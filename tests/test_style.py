"""Language and names that a newcomer can read: docstrings, comments and file names."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lrstudy"

QUESTIONS = frozenset(["whether", "how", "what", "who", "whom", "whose", "where", "which", "when", "why"])
# Words that have a plainer one in technical English, as far as they can be told without reading.
UNUSUAL = re.compile(
    r"\b(?:anew|otherwise than|whoever|whomever|nobody|meanwhile|heed(?:s|ed|ing)?|dear(?:er|est)"
    r"|soon(?:er|est)|whence|thereof|lest|hence|ere|amiss|(?:goes|going|went|gone) on"
    r"|(?:of|in) (?:its|their|his|her|one's) own)\b",
    re.IGNORECASE,
)
# Names of fields and functions are no prose.
CODE = re.compile(r"``[^`]*``")
# Rooms whose docstrings are still being mended.
UNDER_WORK: tuple[str, ...] = ()
# File names that two rooms may share, besides the pairs of a command and its view.
MOST_EQUAL_NAMES = 5


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, private functions included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text


def comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def asks(docstring: str) -> bool:
    """Return True if a docstring opens with a question word."""
    first = re.match(r"[A-Za-z]+", docstring.strip())
    return first is not None and first[0].lower() in QUESTIONS


def equal_names(paths: Sequence[Path]) -> list[str]:
    """File names that occur more than once, without ``__init__`` and the pairs of a command and its view."""
    named = [path for path in paths if path.name != "__init__.py"]
    in_views = {path.name for path in named if path.parent.name == "views"}
    counted = Counter(
        path.name for path in named if not (path.parent.name == "commands" and path.name in in_views)
    )
    return sorted(name for name, count in counted.items() if count > 1)


@pytest.mark.parametrize(
    ("docstring", "asked"),
    [
        ("Whether it is full.", True),
        ("How: by hand.", True),
        ("Which.", True),
        ("Return True if it is full.", False),
        ("Whole numbers.", False),
        ("Whichever comes first.", False),
        ("``what`` it returns.", False),
    ],
)
def test_a_first_line_with_a_question_word_is_told_from_others(docstring: str, asked: bool) -> None:
    assert asks(docstring) == asked


def sources() -> list[Path]:
    """The modules of the package, by their path inside it."""
    paths = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return [path for path in paths if not str(path).startswith(UNDER_WORK)]


def test_docstrings_state_and_do_not_ask() -> None:
    found = []
    for path in sources():
        texts = docstrings((PACKAGE / path).read_text())
        found += [f"{path}:{line}: {text.splitlines()[0]}" for line, text in texts if asks(text)]
    assert found == []


def test_docstrings_and_comments_are_in_plain_words() -> None:
    found = []
    for path in sources():
        source = (PACKAGE / path).read_text()
        for line, text in (*docstrings(source), *comments(source)):
            found += [f"{path}:{line}: {match[0]}" for match in UNUSUAL.finditer(CODE.sub("", text))]
    assert found == []


def returns_bool(function: ast.FunctionDef) -> bool:
    return isinstance(function.returns, ast.Name) and function.returns.id == "bool"


def test_functions_that_return_a_bool_say_when_it_is_true() -> None:
    found = []
    for path in sources():
        for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
            if isinstance(node, ast.FunctionDef) and returns_bool(node):
                text = ast.get_docstring(node)
                if text and "return true if " not in text.lower():
                    found.append(f"{path}:{node.lineno}: {text.splitlines()[0]}")
    assert found == []


def test_equal_file_names_are_few() -> None:
    found = equal_names(sources())
    assert len(found) <= MOST_EQUAL_NAMES, found


def test_equal_file_names_are_counted_without_pairs_of_command_and_view() -> None:
    paths = [Path("cli/commands/run.py"), Path("cli/views/run.py"), Path("a/x.py"), Path("b/x.py")]
    assert equal_names([*paths, Path("a/__init__.py"), Path("b/__init__.py")]) == ["x.py"]
    assert equal_names([*paths, Path("c/run.py")]) == ["run.py", "x.py"]
