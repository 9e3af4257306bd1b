"""The page of questions: made from the kept summaries, and worded from their numbers."""

from __future__ import annotations

import copy
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "studies" / "questions.py"


@pytest.fixture(scope="module")
def questions() -> ModuleType:
    """The script, imported as running it would."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        return importlib.import_module("questions")
    finally:
        sys.path.remove(str(SCRIPT.parent))


RATIOS = {"faster": (2.0, 1.5, 2.7), "slower": (0.5, 0.4, 0.6), "equivalent": (1.01, 0.98, 1.04)}
ENDS = {"faster": "better", "slower": "worse", "never": "worse"}


def comparison(verdict: str, level: float, primary: bool) -> dict[str, Any]:
    times, low, high = RATIOS.get(verdict, (1.1, 0.9, 1.4))
    speedup = {"ratio": times, "low": low, "high": high}
    none = dict.fromkeys(speedup)
    return {
        "target": level,
        "primary": primary,
        "verdict": verdict,
        "speedup": speedup,
        "speedup_over_tunings": none,
    }


def summary(verdicts: dict[str, str], *, second: str = "", warnings: tuple[str, ...] = ()) -> dict[str, Any]:
    """A summary with these verdicts at 95%, and at 97% and the end the same or ``second``."""
    schedules, ends = [], []
    for name, verdict in {"fixed": "reference", **verdicts}.items():
        other = second or verdict
        targets = [comparison(verdict, 0.95, True), comparison(other, 0.97, False)]
        kind = "lipschitz" if name.startswith("lipschitz") else name
        schedules.append({"name": name, "kind": kind, "tuned": name != "lipschitz", "targets": targets})
        moved = {"mean": 0.01, "low": 0.005, "high": 0.015}
        ends.append({"name": name, "verdict": ENDS.get(other, other), "difference": moved})
    return {
        "metric": "val_accuracy",
        "reference": "fixed",
        "targets": [0.95, 0.97],
        "schedules": schedules,
        "end": {"schedules": ends},
        "warnings": list(warnings),
    }


def answers(questions: ModuleType, *summaries: dict[str, Any]) -> list[str]:
    studies = [questions.Study(f"s{place}", each) for place, each in enumerate(summaries, start=1)]
    return [reply(studies) for reply in questions.QUESTIONS.values()]


def test_the_kept_page_is_what_the_script_makes_of_the_kept_summaries(
    questions: ModuleType, tmp_path: Path
) -> None:
    made = tmp_path / "questions.md"
    assert questions.main(["--reports", str(ROOT / "reports"), "--out", str(made)]) == 0
    assert made.read_text(encoding="utf-8") == (ROOT / "reports/questions.md").read_text(encoding="utf-8")


def test_each_answer_is_one_sentence_with_its_study(questions: ModuleType) -> None:
    kept = (ROOT / "reports/questions.md").read_text(encoding="utf-8")
    replies = [part.partition("\n\n")[2].strip() for part in kept.split("\n## ")[1:]]
    assert len(replies) == 5
    for reply in replies:
        assert "\n" not in reply
        assert reply.count(". ") == 0
        assert reply.endswith(".")
        assert "/report.md)" in reply


@pytest.mark.parametrize(
    ("verdict", "need", "worth"),
    [
        ("faster", "Yes", "Yes"),
        ("equivalent", "Yes", "No"),
        ("slower", "No", "No"),
        ("never", "No", "No"),
        ("inconclusive", "Open", "Open"),
    ],
)
def test_another_verdict_gives_another_answer(
    questions: ModuleType, verdict: str, need: str, worth: str
) -> None:
    found = answers(questions, summary({"lipschitz": verdict, "cyclic": verdict}))
    assert found[0].startswith(f"{need}: ")
    assert found[1].startswith(f"{worth}: ")
    word = {"never": "never reaches 95%", "inconclusive": "open"}.get(verdict, verdict)
    assert word in found[0]
    assert word in found[1]


def test_two_tasks_can_disagree(questions: ModuleType) -> None:
    one, other = summary({"cyclic": "faster"}), summary({"cyclic": "slower"})
    assert answers(questions, one, other)[1].startswith("It depends on the task: on [s1](s1/report.md) it ")
    undecided = summary({"cyclic": "inconclusive"})
    assert answers(questions, one, undecided)[1].startswith("Yes, where it is decided: ")


def test_tuned_schedules_are_counted(questions: ModuleType) -> None:
    some = {"step": "faster", "cosine": "slower", "cyclic": "inconclusive", "lipschitz-tuned": "faster"}
    said = answers(questions, summary(some))[2]
    assert said.startswith("Some do: of 3 comparisons in [s1](s1/report.md) 1 are faster, 1 slower")
    assert "the largest gain is step, which is 2.0× as fast as fixed to 95% (1.5 to 2.7, faster)" in said
    assert answers(questions, summary({"step": "faster"}))[2].startswith("Yes: ")
    assert answers(questions, summary({"step": "slower"}))[2].startswith("No: ")
    assert answers(questions, summary({"step": "inconclusive"}))[2].startswith("Open: ")


def test_the_best_schedule_is_named_with_what_is_open(questions: ModuleType) -> None:
    said = answers(questions, summary({"step": "faster", "cosine": "inconclusive"}))[3]
    assert said.startswith("Perhaps step: ")
    assert "1 of 2 comparisons are open" in said
    assert answers(questions, summary({"step": "faster", "cosine": "slower"}))[3].startswith(
        "step: alone of 2"
    )
    assert answers(questions, summary({"step": "inconclusive"}))[3].startswith("Open: ")


def test_rules_that_agree_or_not(questions: ModuleType) -> None:
    same = summary({"step": "faster", "cosine": "slower"})
    assert answers(questions, same)[4].startswith("No: in 0 of 2 comparisons")
    warned = copy.deepcopy(same)
    warned["warnings"] = [f"Target 0.95: {questions.RULES_DISAGREE}. step is slower by the first."]
    assert answers(questions, warned)[4].startswith("In part: ")
    assert "at 1 of 2 targets two rules of arrival disagree" in answers(questions, warned)[4]
    assert answers(questions, summary({"step": "faster"}, second="inconclusive"))[4].startswith("In part: ")
    turned = answers(questions, summary({"step": "faster"}, second="slower"))[4]
    assert turned.startswith("Yes: in 1 of 1 comparisons")
    assert "1 of them opposite" in turned
    assert "to 97% 0.50× (0.40 to 0.60, slower)" in turned


def test_a_missing_report_is_named(
    questions: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/summary.json").write_text(json.dumps(summary({"step": "faster"})))
    assert questions.main(["--reports", str(tmp_path), "--out", str(tmp_path / "page.md")]) == 2
    assert "fashion-mnist-small" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
