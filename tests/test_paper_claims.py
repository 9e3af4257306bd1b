"""The page of the paper's claims: its numbers computed again from the files; other numbers, other words."""

from __future__ import annotations

import csv
import importlib
import json
import re
import shutil
import sys
import tomllib
from functools import cache
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "reports"
PAGE = REPORTS / "paper" / "report.md"
TITLES = (
    "Large rates train",
    "The rate decays by itself",
    "Nothing to tune",
    "Faster than fixed",
    "Works for each optimizer and loss",
    "Needs only the last layer",
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script, imported as running it would."""
    sys.path.insert(0, str(ROOT / "studies"))
    try:
        return importlib.import_module("paper_claims")
    finally:
        sys.path.remove(str(ROOT / "studies"))


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((REPORTS / "paper" / "summary.json").read_text(encoding="utf-8"))
    return read


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A copy of the kept reports without their figures."""
    shutil.copytree(REPORTS, tmp_path / "reports", ignore=shutil.ignore_patterns("*.png", "*.html"))
    return tmp_path / "reports"


def made(script: ModuleType, reports: Path) -> str:
    assert script.main(["--reports", str(reports), "--out", str(reports / "page.md")]) == 0
    return (reports / "page.md").read_text(encoding="utf-8")


def part(page: str, number: int, heading: str) -> str:
    """A paragraph of a claim, without links."""
    claim = page.split(f"\n## {number}. {TITLES[number - 1]}\n")[1].split("\n## ")[0]
    text = claim.partition(f"**{heading}:**")[2].partition("\n\n**")[0].strip()
    return re.sub(r"\]\([^)]*\)", "]", text)


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text)


def summary_of(reports: Path, name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((reports / name / "summary.json").read_text(encoding="utf-8"))
    return read


def schedule_of(summary: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in summary["schedules"] if one["name"] == name)
    return found


def test_the_kept_page_is_what_the_script_makes_of_the_kept_reports(
    script: ModuleType, tmp_path: Path
) -> None:
    assert script.main(["--reports", str(REPORTS), "--out", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_each_claim_has_the_paper_s_words_recorded_runs_and_a_ruling() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for number in range(1, 7):
        for heading in ("The paper says", "Its recorded runs", "So"):
            assert part(page, number, heading).endswith(".")
    assert page.rstrip().rpartition("## ")[2].startswith("What follows for someone who considers the rule")


def test_the_recorded_numbers_are_those_of_the_summary(recorded: dict[str, Any]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    rates = recorded["rates"]
    large = [r for r in rates if r["optimizer"] in ("sgd", "momentum") and r["times_baseline"]]
    found = part(page, 1, "Its recorded runs")
    lowest, highest = (limit(r["times_baseline"] for r in large) for limit in (min, max))
    assert f"{lowest:.0f} to {highest:.0f} times" in found
    assert f"{sum(r['points'] > 0 for r in large)} of {len(large)} end above" in found

    falling = [r for r in rates if r["logged_fall"] >= 1]
    found = part(page, 2, "Its recorded runs")
    assert f"in {len(falling)} of {len(rates)} runs" in found
    assert (
        f"{min(r['logged_fall'] for r in falling):.1f} to {max(r['logged_fall'] for r in falling):.1f}"
        in found
    )
    shares = [100 * r["decay_share_of_fall"] for r in falling]
    assert f"{min(shares):.0f} to {max(shares):.0f}% of the fall" in found

    found = part(page, 3, "Its recorded runs")
    assert f"{sum(r['set_by_hand_at'] != [] for r in rates)} of {len(rates)} runs" in found
    weights = {r["l2"] for r in rates}
    assert f"takes {len(weights)} values from {min(weights):g} to {max(weights):g}" in found

    against = recorded["against_baselines"]
    found = part(page, 4, "Its recorded runs")
    for lr in (0.01, 0.001):
        points = [row["points"] for row in against if row["baseline_lr"] == lr]
        assert f"{sum(p > 0 for p in points)} of {len(points)}" in found
    passed = recorded["adaptive_passes_fixed"]["cifar-10-resnet-20-v1-sgd"]
    assert f"epoch {passed['first']}, by means of ten epochs at {passed['means_of_10']}" in found

    found = part(page, 5, "Its recorded runs")
    for optimizer, name in (
        ("sgd", "SGD"),
        ("momentum", "momentum"),
        ("rmsprop", "RMSprop"),
        ("adam", "Adam"),
    ):
        points = [row["points"] for row in against if row["optimizer"] == optimizer]
        assert f"{sum(p > 0 for p in points)} of {len(points)} with {name}" in found
    corrected = [row["corrected"] for row in recorded["auto_adam"]]
    assert f"{min(corrected):.2f} to {max(corrected):.2f}" in found


def kept_rules() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(name, summary, schedule) of every untuned rule in the reports that the page links to."""
    page = PAGE.read_text(encoding="utf-8")
    names = dict.fromkeys(re.findall(r"\]\(\.\./([\w/-]+)/report\.md\)", page))
    found = []
    for name in names:
        summary = summary_of(REPORTS, name)
        found += [
            (name, summary, one)
            for one in summary.get("schedules", ())  # the sweeps have none
            if one.get("kind", one["name"]) == "lipschitz" and not one.get("tuned") and is_plain(summary, one)
        ]
    return found


@cache
def study_files() -> list[dict[str, Any]]:
    return [tomllib.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "studies").rglob("*.toml")]


def is_plain(summary: dict[str, Any], schedule: dict[str, Any]) -> bool:
    """Whether the study file gives a schedule none of the options that the paper's rule does not have."""
    beyond = {"bound", "anneal", "max_growth", "cap", "warmup", "policy", "loss"}
    (file,) = [file for file in study_files() if file.get("name") == summary["study"]] or [{}]
    tables = file.get("schedules", {}) | file.get("methods", {})
    given = tables.get(schedule["name"], {})
    return not beyond & given.keys() or given.get("policy") == "adaptive"


def rates_of(name: str, schedule: str) -> list[float]:
    with (REPORTS / name / "tables/learning-rates.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["schedule"] == schedule]
    return [float(row["lr"]) for row in rows if row["lipschitz_constant"]]


def primary_of(schedule: dict[str, Any]) -> dict[str, Any]:
    marked = [target for target in schedule["targets"] if target.get("primary")]
    found: dict[str, Any] = (marked or schedule["targets"])[-1]
    return found


def test_the_first_ruling_counts_what_diverges_and_what_gets_there() -> None:
    cases = [one for *_, one in kept_rules()]
    found = part(PAGE.read_text(encoding="utf-8"), 1, "So")
    assert f"in {sum(one['diverged'] == 0 for one in cases)} of {len(cases)} cases" in found
    reached = [primary_of(one)["hits"] == primary_of(one)["runs"] for one in cases]
    assert f"in {sum(reached)} of {len(cases)} every run" in found
    assert f"and in {sum(primary_of(one)['hits'] == 0 for one in cases)} none does" in found


def test_the_second_ruling_counts_rates_that_fall_and_rise(recorded: dict[str, Any]) -> None:
    moved = [rates for name, _, one in kept_rules() if len(rates := rates_of(name, one["name"])) > 1]
    stays = sum(max(rates) / min(rates) < 1 + 1e-5 for rates in moved)
    falls = sum(rates[-1] < rates[0] * (1 - 1e-5) for rates in moved)
    found = part(PAGE.read_text(encoding="utf-8"), 2, "So")
    expected = [falls, len(moved) - falls - stays, stays, len(moved)]
    rising = sum(row["logged_fall"] < 1 for row in recorded["rates"])
    assert numbers(found) == [str(count) for count in (*expected, rising, len(recorded["rates"]))]


def test_the_third_ruling_has_the_factors_and_quotients_of_the_tunings() -> None:
    factors, quotients = [], []
    for name, summary, one in kept_rules():
        names = {each["name"]: each for each in summary["schedules"]}
        constant = next(
            (each for each in names.values() if each.get("kind") == "fixed" and each.get("tuned")), None
        )
        if constant is None:
            continue
        lrs = [winner["params"]["lr"] for winner in constant["winners"]]
        quotients.append(median(rates_of(name, one["name"])) / median(lrs))
        if summary["reference"] == constant["name"] and "lipschitz-tuned" in names:
            factors += [winner["params"]["scale"] for winner in names["lipschitz-tuned"]["winners"]]
    found = part(PAGE.read_text(encoding="utf-8"), 3, "So")
    assert (
        f"{min(factors):.2f} to {max(factors):.2f} (median {median(factors):.2f} of {len(factors)} " in found
    )
    largest = f"{max(quotients):,.0f}" if max(quotients) >= 1000 else f"{max(quotients):.3g}"
    assert f"{min(quotients):.3g} to {largest} times" in found
    assert f"(median {median(quotients):.3g} of {len(quotients)} studies)" in found
    assert found.startswith("No")


def test_the_fourth_ruling_is_the_verdict_against_tuned_constant_rates(recorded: dict[str, Any]) -> None:
    verdicts = [
        primary_of(one)["verdict"]
        for _, summary, one in kept_rules()
        if schedule_of(summary, summary["reference"]).get("kind") == "fixed"
        and schedule_of(summary, summary["reference"]).get("tuned")
    ]
    lost = sum(verdict in ("slower", "never") for verdict in verdicts)
    points = [row["points"] for row in recorded["against_baselines"]]
    found = part(PAGE.read_text(encoding="utf-8"), 4, "So")
    assert (
        f"faster in {verdicts.count('faster')} and slower or never there in {lost} of {len(verdicts)} cases, "
        f"{verdicts.count('never')} of them never" in found
    )
    assert f"its {sum(p > 0 for p in points)} wins of {len(points)} in the paper" in found


def test_speeds_have_their_intervals() -> None:
    found = part(PAGE.read_text(encoding="utf-8"), 4, "Our studies")
    target = primary_of(schedule_of(summary_of(REPORTS, "digits"), "lipschitz"))
    speed = target["speedup_over_tunings"]
    low, high = speed["low"], speed["high"]
    assert (
        f"[digits]: it is {speed['ratio']:.2f}× as fast as fixed to 95% ({low:.2f} to {high:.2f}, " in found
    )


def test_the_fifth_ruling_counts_verdicts_and_what_is_missing(reports: Path, script: ModuleType) -> None:
    verdicts = [primary_of(one)["verdict"] for *_, one in kept_rules()]
    lost = sum(verdict in ("slower", "never") for verdict in verdicts)
    found = part(PAGE.read_text(encoding="utf-8"), 5, "So")
    assert f"of {len(verdicts)} cases" in found
    assert f"never there in {lost} and faster in {verdicts.count('faster')}" in found
    assert "Not measured yet" not in found
    for name in ("optimizer-adam", "loss-huber"):
        shutil.rmtree(reports / name)
    assert "Not measured yet: Adam and huber." in part(made(script, reports), 5, "So")


def test_the_sixth_ruling_is_what_the_premise_study_measured() -> None:
    with (REPORTS / "paper-premise/tables/rate-over-limit.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["schedule"] == "lipschitz"]
    ratios = [float(row["gradient_ratio"]) for row in rows]
    limits = [float(row["rate_over_limit"]) for row in rows]
    found = part(PAGE.read_text(encoding="utf-8"), 6, "Our studies")
    assert f"at {sum(ratio < 1 for ratio in ratios)} of {len(ratios)} evaluations" in found
    assert f"{median(limits):.3g} times the whole network's stability limit" in found
    assert f"({min(limits):.3g} to {max(limits):.3g})" in found


def test_another_verdict_gives_another_ruling(reports: Path, script: ModuleType) -> None:
    for name, summary in {name: summary_of(reports, name) for name, *_ in kept_rules()}.items():
        for schedule in summary["schedules"]:
            for target in schedule["targets"] if schedule.get("kind") == "lipschitz" else ():
                target["verdict"] = "faster"
        (reports / name / "summary.json").write_text(json.dumps(summary))
    page = made(script, reports)
    for number in (3, 4):
        assert part(page, number, "So").startswith("Yes: ")
    assert "| [4. Faster than fixed](#4-faster-than-fixed) | Yes |" in page


def test_an_awaited_report_counts_as_soon_as_it_is_there(reports: Path, script: ModuleType) -> None:
    for kept in [*reports.glob("mnist-10k"), *reports.glob("controls-*")]:
        shutil.rmtree(kept)
    before = made(script, reports)
    assert "- Not measured yet: `mnist-10k`" in before
    assert "- Not measured yet: `controls-*`" in before
    shutil.copytree(reports / "digits", reports / "mnist-10k")
    shutil.copytree(reports / "fashion-mnist-small", reports / "controls-mlp")
    page = made(script, reports)
    assert "`mnist-10k`" not in page
    assert "`controls-*`" not in page
    assert "[mnist-10k]: it is 0.55× as fast" in part(page, 4, "Our studies")
    assert "[controls-mlp]: it never reaches 84%" in part(page, 4, "Our studies")
    counts = [
        [int(each) for each in re.findall(r"never there in (\d+) of (\d+) cases", part(made, 4, "So"))[0]]
        for made in (before, page)
    ]
    assert counts[1] == [count + 2 for count in counts[0]]


def test_a_report_in_which_everything_diverged_is_counted(reports: Path, script: ModuleType) -> None:
    shutil.rmtree(reports / "paper-mnist-sgd", ignore_errors=True)
    shutil.copytree(reports / "classic/iris-as-coded", reports / "paper-mnist-sgd")
    summary = summary_of(reports, "paper-mnist-sgd")
    rule = schedule_of(summary, "lipschitz")
    rule |= {"diverged": 11, "best_params": None, "winners": [{"replicate": 1, "params": None}]}
    for target in rule["targets"]:
        nothing = {"hits": 0, "runs": 0, "hit_rate": {"rate": None, "low": None, "high": None}}
        target |= {"verdict": "never", **nothing}
    (reports / "paper-mnist-sgd/summary.json").write_text(json.dumps(summary))
    page = made(script, reports)
    assert "[paper-mnist-sgd]: rates of 830: 0 of 0 runs reach 100%, 11 of 11 trials diverge" in part(
        page, 1, "Our studies"
    )
    assert "[paper-mnist-sgd] (11 of 11)" in part(page, 1, "So")


def test_a_diagnosed_study_answers_for_the_last_layer(reports: Path, script: ModuleType) -> None:
    shutil.rmtree(reports / "paper-premise")
    assert part(made(script, reports), 6, "So") == "Not measured yet."
    head = "schedule,epochs,rate_over_limit,curvature,gradient_ratio"
    rows = ["lipschitz,1,4,1,0.5", "lipschitz,2,2,1,2", "lipschitz,3,0.5,1,3", "fixed,1,0.1,1,0.1"]
    (reports / "digits/tables/rate-over-limit.csv").write_text("\n".join([head, *rows]) + "\n")
    page = made(script, reports)
    found = part(page, 6, "Our studies")
    assert "an earlier layer has the largest gradient at 1 of 3 evaluations" in found
    assert "is 2 times the largest earlier one (0.5 to 3)" in found
    assert "the rate is 2 times the whole network's stability limit (0.5 to 4)" in found
    assert part(page, 6, "So").startswith("No: ")
    assert numbers(part(page, 6, "So")) == ["1", "1", "1", "1"]


def test_without_the_recorded_runs_there_is_no_page(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--reports", str(tmp_path), "--out", str(tmp_path / "page.md")]) == 2
    assert "summary.json not found" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_a_sweep_counts_as_soon_as_it_is_there(reports: Path, script: ModuleType) -> None:
    for name in ("scaling", "factors", "first-rates"):
        shutil.rmtree(reports / name, ignore_errors=True)
        (reports / name).mkdir()
    assert "(../scaling/report.md)" not in made(script, reports)
    network = {"network": "a net", "recorded": [2e-8, 0.5], "running": [3.0, 1e-7, 2.0], "batch": [1.7, 1.8]}
    slopes = {"slope_best_fixed": [0.5, 0.4, 0.6], "slope_rule": [0.1, 0.0, 0.2]}
    follows, differs = (slopes | {"slope_rule_less_best": each} for each in ([-0.4, -0.9, 0.1], [-2, -3, -1]))
    effects = {
        "constant": {"ratio": 2.0, "low": 1.5, "high": 2.5},
        "network": {"ratio": 3.0, "low": 2, "high": 4},
    }
    contents = {
        "first-rates": {"networks": [network]},
        "scaling": {"batch": follows, "scale": differs},
        "factors": {"digits": {"effects": {"bound": effects}}},
    }
    for name, content in contents.items():
        (reports / name / "summary.json").write_text(json.dumps(content))
    page = made(script, reports)
    assert (
        "a net: before any step 1/L is 2 as coded (recorded: 2e-08 and 0.5), and 1.75 with each batch's own"
        in part(page, 1, "Our studies")
    )
    found = part(page, 3, "Our studies")
    assert (
        "goes as x^0.50 (0.40 to 0.60), the rule's as x^0.10 (0.00 to 0.20): no difference is seen" in found
    )
    assert "the scale of the last activations x" in found
    assert "it does not follow" in found
    constant = "a constant at the rule's mean rate is 2.00× as fast as the rule (1.50 to 2.50)"
    assert constant in part(page, 4, "Our studies")
    assert "1/λmax of the whole network is 3.00× as fast" in part(page, 6, "Our studies")


def test_advice_without_tuning_is_the_best_record_of_the_controls(reports: Path, script: ModuleType) -> None:
    kept = json.loads((reports / "controls/summary.json").read_text(encoding="utf-8"))
    records = {}
    for name in kept["controls-digits"]["schedules"]:
        if name not in ("fixed", "cosine"):
            verdicts = [task["schedules"][name]["against_fixed"]["verdict"] for task in kept.values()]
            records[name] = (verdicts.count("faster"), verdicts.count("slower") + verdicts.count("never"))
    best, (won, lost) = max(records.items(), key=lambda item: item[1][0] - item[1][1])
    advised = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "try `" in line]
    assert len(advised) == 1
    assert advised[0].startswith(f"- **Where nothing shall be tuned, try `{best}` before the rule.**")
    assert f"faster on {won} of {len(kept)} tasks and slower or never there on {lost}, untuned" in advised[0]
    for task in kept.values():
        for one in task["schedules"].values():
            (one["against_fixed"] or {})["verdict"] = "slower"
    (reports / "controls/summary.json").write_text(json.dumps(kept))
    assert "Where nothing shall be tuned" not in made(script, reports)


def test_advice_without_tuning_weighs_defeats_and_is_not_given_for_a_loser(script: ModuleType) -> None:
    without_tuning = importlib.import_module("claims.sweeps").without_tuning

    def controls(**verdicts: list[str]) -> dict[str, Any]:
        tasks = [
            {"schedules": {name: {"against_fixed": {"verdict": each[n]}} for name, each in verdicts.items()}}
            for n in range(3)
        ]
        return {"controls": dict(enumerate(tasks))}

    lost = ["never", "slower", "never"]
    bold, careful = ["faster", "faster", "slower"], ["faster", "faster", "inconclusive"]
    (advice,) = without_tuning(controls(paper=lost, bold=bold, careful=careful))
    assert "try `careful` before the rule" in advice
    assert "faster on 2 of 3 tasks and slower or never there on 0, untuned; the rule is faster on 0" in advice
    assert without_tuning(controls(paper=lost, weak=["faster", "slower", "slower"])) == []
    assert without_tuning(controls(paper=careful, weak=lost)) == []
    assert without_tuning({}) == []
