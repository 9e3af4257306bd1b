"""An extended study keeps every trial that it has, trains only what is missing, and equals one planned so."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from scipy import optimize, stats
from trial_results import record

from lrstudy.analysis import analyse
from lrstudy.analysis.replicates import difference
from lrstudy.analysis.sequential_test import sizes_of
from lrstudy.analysis.study_contest import contest_of
from lrstudy.engine.trial import TrialConfig
from lrstudy.errors import InputError
from lrstudy.records import EvaluationRecord, Phase, TrialRecord
from lrstudy.rules.extension import Extended, Extension, changed_keys
from lrstudy.rules.looks import Look
from lrstudy.rules.trial_ids import trial_number
from lrstudy.spec import Study, parse_study
from lrstudy.spec.extend_study import extend_study
from lrstudy.store import Store, StoreWriter, StudyInfo, TrialKey, open_store
from lrstudy.store.extended_info import extended_info
from lrstudy.store.superseded import superseded_trials
from lrstudy.tuning.driver.controller import Controller
from lrstudy.tuning.driver.rounds import Rounds

LATER = '[schedules.later]\nkind = "fixed"\nlr = { low = 1e-2, high = 1.0, log = true }\n'
MORE = """
name = "other"
[task]
dataset = "iris"
model = "softmax-regression"
batch_size = 16
epochs = 3
"""
RATES = {"low": 1e-3, "high": 1.0, "log": True}


def study(schedules: Mapping[str, Any] | None = None, epochs: int = 3, **budget: Any) -> Study:
    return parse_study(
        {
            "name": "s",
            "task": {"dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": epochs},
            "budget": {"trials": 6, "confirm_seeds": 2, "replicates": 2, **budget},
            "schedules": {"lipschitz": {}, "fixed": {"lr": RATES}, **(schedules or {})},
            "target": {"values": [0.8], "reference": "fixed"},
            "resources": {"lanes": 0},
        },
        "test",
    )


def described(spec: Study, **changes: Any) -> StudyInfo:
    return StudyInfo(spec.name, spec.to_json(), spec.spec_hash, spec.seed, **changes)


def grown(
    before: StudyInfo, spec: Study, records: Iterable[TrialRecord], **values: Any
) -> tuple[Study, StudyInfo]:
    """The study after an extension, and what its store says."""
    extension = Extension(**values)
    now = extend_study(spec, extension, "runs/s")
    extended = Extended(extension, spec.spec_hash, changed_keys(spec.to_json(), now.to_json()))
    return now, extended_info(before, described(now), extended, records)


def ended(config: TrialConfig, value: float) -> TrialRecord:
    return record(config, evaluations_run=3, best_val=value, best_evaluation=2, objective=value)


def worth(config: TrialConfig) -> float:
    """An objective to keep small; later configurations are better, so that added trials change winners."""
    if config.phase is Phase.TUNE:
        return 4.0 - 0.1 * trial_number(config.trial_id)
    return 1.0 + (config.seed % 97) / 100 + float(config.params.get("lr", 0.0))


def play(
    spec: Study,
    records: Iterable[TrialRecord] = (),
    info: StudyInfo | None = None,
    *,
    most: int = 10_000,
    concurrency: int = 3,
    seed: int = 0,
) -> list[TrialRecord]:
    """Run what is missing, at most so many trials, several at a time and ending in random order."""
    order, running, done = random.Random(seed), [], list(records)
    numbers = {} if info is None else info.first_numbers
    controller = Controller(spec, done, first_numbers=numbers)
    ran = 0
    while not controller.done and ran < most:
        while len(running) < concurrency and (config := controller.next()) is not None:
            running.append(config)
        assert running, "nothing runs and nothing is left to start"
        config = running.pop(order.randrange(len(running)))
        done.append(ended(config, worth(config)))
        controller.complete(done[-1])
        ran += 1
    assert most < 10_000 or controller.remaining == 0
    return done


def untimed(records: Iterable[TrialRecord]) -> dict[str, TrialRecord]:
    never = datetime(2000, 1, 1, tzinfo=UTC)
    return {one.trial_id: replace(one, started_at=never, ended_at=never) for one in records}


@pytest.fixture
def more(tmp_path: Path) -> Path:
    path = tmp_path / "more.toml"
    path.write_text(MORE + LATER)
    return path


def test_an_extended_study_has_the_trials_of_one_planned_so(more: Path) -> None:
    first = play(study())
    now, info = grown(
        described(study()), study(), first, confirm_seeds=4, replicates=3, schedules=(f"later={more}",)
    )
    planned = study({"later": {"kind": "fixed", "lr": {**RATES, "low": 1e-2}}}, confirm_seeds=4, replicates=3)
    assert now.spec_hash == planned.spec_hash == info.spec_hash
    records = play(now, first, info, seed=5)
    assert records[: len(first)] == first
    assert len({one.trial_id for one in records}) == len(records)
    assert untimed(records) == untimed(play(planned))
    assert not superseded_trials(info, records)


def test_a_schedule_is_added_at_every_length(more: Path) -> None:
    table = {
        "name": "s",
        "task": {
            "dataset": "digits",
            "model": "softmax-regression",
            "batch_size": 64,
            "epochs": 3,
            "lengths": [2],
        },
        "budget": {"trials": 2, "confirm_seeds": 1},
        "schedules": {"fixed": {"lr": RATES}},
    }
    spec = parse_study(table, "test")
    now, info = grown(described(spec), spec, [], schedules=(f"later={more}",))
    assert {one.name for one in now.schedules} == {"fixed", "fixed@2", "later", "later@2"}
    assert info.spec_hash == now.spec_hash


@pytest.mark.parametrize("search", ["tpe", "random", "qmc", "grid"])
@pytest.mark.parametrize("design", [{}, {"extend": True, "extend_trials": 3}, {"tune_seeds": 2}])
def test_added_trials_change_no_earlier_suggestion(search: str, design: dict[str, Any]) -> None:
    spec = study(search=search, generation=4, **design)
    first = play(spec)
    now, info = grown(described(spec), spec, first, trials=9)
    records = play(now, first, info, seed=1)
    # All of it again from nothing: the suggestions that were made are made again.
    again = untimed(one for one in play(now) if one.phase is Phase.TUNE)
    assert again == untimed(one for one in records if one.phase is Phase.TUNE)
    kept = untimed(one for one in first if one.phase is Phase.TUNE)
    assert kept.items() <= again.items()
    assert len(again) - len(kept) == 2 * 3 * (2 if "tune_seeds" in design else 1)


@pytest.mark.parametrize("select", [{}, {"select": 2, "select_seeds": 2}])
def test_a_new_winner_gets_runs_on_the_same_seeds_and_ids_that_are_free(select: dict[str, Any]) -> None:
    spec = study(**select)
    first = play(spec)
    now, info = grown(described(spec), spec, first, trials=8)
    records = play(now, first, info)
    assert records[: len(first)] == first
    left_out = superseded_trials(info, records)
    for schedule, count in (("fixed", 4), ("lipschitz", 2)):
        for replicate in (1, 2):
            runs = [
                one
                for one in records
                if (one.schedule, one.replicate, one.phase) == (schedule, replicate, Phase.CONFIRM)
            ]
            lasting = [one for one in runs if one.trial_id not in left_out]
            assert len(runs) == count
            assert len(lasting) == 2
            controller = Controller(now, records, first_numbers=info.first_numbers)
            winner = controller.winner(schedule, replicate)
            assert winner is not None
            assert all(one.params == winner.params for one in lasting)
            old = [one for one in first if one in runs]
            assert {one.seed for one in lasting} == {one.seed for one in old}
            if schedule == "fixed":
                assert left_out >= {one.trial_id for one in old}


@pytest.mark.parametrize("kept", range(0, 20, 3))
def test_a_kill_in_mid_extension_changes_nothing(kept: int) -> None:
    spec = study(select=2, select_seeds=2)
    first = play(spec)
    now, info = grown(described(spec), spec, first, trials=8, select_seeds=3, confirm_seeds=3)
    whole = play(now, first, info)
    cut = play(now, first, info, most=kept, seed=4)
    assert len(cut) == len(first) + kept
    # A store gives its rows in any order.
    random.Random(kept).shuffle(cut)
    assert untimed(play(now, cut, info, seed=8)) == untimed(whole)
    assert superseded_trials(info, whole) == superseded_trials(info, list(reversed(whole)))


def test_a_study_can_be_extended_again() -> None:
    spec = study()
    records = play(spec)
    info, ids = described(spec), {one.trial_id for one in records}
    for values in ({"trials": 8}, {"confirm_seeds": 3}, {"trials": 10}, {"replicates": 3}):
        now, info = grown(info, spec, records, **values)
        longer = play(now, records, info)
        assert longer[: len(records)] == records
        spec, records = now, longer
        assert len({one.trial_id for one in records}) == len(records) > len(ids)
        lasting = [one for one in records if one.trial_id not in superseded_trials(info, records)]
        assert len(lasting) == spec.all_trials
    assert spec.budget.first_trials == 6
    assert [*info.history[0]["changes"]] == ["budget.trials", "budget.first_trials"]
    assert info.spec_hashes == (*(entry["spec_hash"][0] for entry in info.history), spec.spec_hash)


def test_a_winner_that_stays_keeps_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "worth", lambda config: 1.0 + 0.1 * trial_number(config.trial_id))
    spec = study()
    first = play(spec)
    now, info = grown(described(spec), spec, first, trials=8)
    records = play(now, first, info)
    assert [one.phase for one in records[len(first) :]] == [Phase.TUNE] * 4
    assert not superseded_trials(info, records)


def test_replicates_after_a_verdict_count_as_a_look() -> None:
    spec = study()
    _, info = grown(described(spec), spec, play(spec), replicates=4)
    assert info.taken_looks == (Look(2, ("lipschitz",), 4),)
    # Nothing was there to read yet.
    _, info = grown(described(spec), spec, play(spec, most=3), replicates=4)
    assert not info.taken_looks


def written(folder: Path, spec: Study, info: StudyInfo, records: Iterable[TrialRecord]) -> Store:
    """A store of trials whose confirm runs reach 0.8 after 2 to 6 epochs, the untuned schedule's later."""
    trials, rows = list(records), []
    for one in trials:
        hit = 2 + (one.seed + 7 * len(one.params)) % 4 + (one.schedule == "lipschitz")
        key = TrialKey(one.trial_id, one.phase, one.schedule, one.seed)
        for epoch in range(1, spec.length + 1):
            seconds = {"train_seconds": 1.0, "estimate_seconds": 0.0, "eval_seconds": 0.0}
            rates = {"lr": 0.1, "lr_min": 0.1, "lr_max": 0.1}
            value = 0.9 if epoch >= hit else 0.5
            row = EvaluationRecord(
                evaluation=epoch, step=epoch, epoch=float(epoch), val_accuracy=value, **seconds, **rates
            )
            rows.append((key, row))
    with StoreWriter.create_or_open(folder, info) as writer:
        writer.append(rows, trials)
    return open_store(folder)


def test_the_verdict_of_an_extended_study_differs_by_the_price_of_its_look(tmp_path: Path) -> None:
    spec, planned = (study(epochs=8, replicates=number, confirm_seeds=3) for number in (2, 4))
    first = play(spec)
    now, info = grown(described(spec), spec, first, replicates=4)
    stores = (
        written(tmp_path / "planned", planned, described(planned), play(planned)),
        written(tmp_path / "extended", now, info, play(now, first, info)),
    )
    summaries = [analyse(store) for store in stores]
    assert [sizes_of(store.study) for store in stores] == [(), (2, 4)]
    at_once, grew = (each.schedules[0].reach[0] for each in summaries)
    table = contest_of(stores[0]).contest.replicates(0.8, "epochs", 8)
    early, late = (difference(table.until(number), "lipschitz") for number in (2, 4))
    assert early is not None
    assert late is not None
    # The target has 4 of the study's 5%.
    assert at_once.p_value == pytest.approx(late.p_value / 0.8)
    assert grew.p_value == pytest.approx(
        price_of_a_look_half_way(early.p_value, late.p_value) / 0.8, rel=1e-3
    )
    assert grew.p_value > at_once.p_value
    assert replace(grew, p_value=at_once.p_value, verdict=at_once.verdict) == at_once
    ends = [each.end.values[0] for each in summaries]
    assert replace(ends[1], p_value=ends[0].p_value) == ends[0]


def price_of_a_look_half_way(early: float | None, late: float | None) -> float:
    """The smallest level that rejects over two looks, half of which may be spent at the first of them."""
    assert early is not None
    assert late is not None
    last = stats.norm.isf(late / 2)
    means = stats.multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])

    def spent_too_much(level: float) -> float:
        first = stats.norm.isf(level / 4)
        both_inside = means.cdf([first, last], lower_limit=[-first, -last])
        return float(1 - both_inside - level)

    return min(2 * early, float(optimize.brentq(spent_too_much, late, min(1.0, 2 * late))))


def test_a_higher_cap_or_a_schedule_repeats_the_last_look(more: Path) -> None:
    spec = study(until="decided", most=4)
    looks = [Look(2, ("lipschitz",), 4), Look(4, ("lipschitz",), 4)]
    before = described(spec, looks=[look.to_json() for look in looks])
    now, info = grown(before, spec, [], most=8)
    assert (now.budget.most, info.taken_looks) == (8, (looks[0],))
    _, info = grown(before, spec, [], schedules=(f"later={more}",))
    assert info.taken_looks == (Look(2, ("lipschitz", "later"), 4),)
    assert info.replicates("later") == 4


def test_replicates_are_added_up_to_the_higher_cap() -> None:
    """A study of 2, then 4 replicates that is still open gets 4 more, and looks at 4 once more."""
    spec = study(until="decided", most=4)
    info = described(spec, looks=[Look(2, ("lipschitz",), 4).to_json()])
    now, info = grown(info, spec, [], most=12)
    assert sizes_of(info) == (2, 4, 8, 12)
    records: list[TrialRecord] = []
    looked: list[int] = []
    controller = Controller(now)
    writer = Book(info)
    rounds = Rounds(now, controller, writer, lambda _, size: looked.append(size) or ["lipschitz"])  # type: ignore[func-returns-value,arg-type]
    while True:
        while (config := controller.next()) is not None:
            records.append(ended(config, worth(config)))
            controller.complete(records[-1])
        if not rounds.look():
            break
    assert looked == [4, 8, 12]
    assert {one.replicate for one in records} == set(range(1, 13))
    assert [look.replicates for look in writer.study.taken_looks] == [2, 4, 8, 12]


class Book:
    """A writer that keeps the looks."""

    def __init__(self, info: StudyInfo) -> None:
        self.study = info

    def note_looks(self, looks: list[Look]) -> None:
        self.study = replace(self.study, looks=[look.to_json() for look in looks])


def test_a_fixed_design_can_be_continued_until_decided() -> None:
    now, _ = grown(described(study()), study(), [], most=8)
    assert (now.budget.until, now.budget.replicates, now.budget.most) == ("decided", 2, 8)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"confirm_seeds": 1}, "--confirm-seeds = 1: is below budget.confirm_seeds = 2"),
        ({"replicates": 2}, "is budget.replicates of runs/s already. Give the new total, above 2"),
        ({"select_seeds": 5}, "selects no finalists"),
        ({"epochs": 9}, "trials have no checkpoint to continue from. Start a second run, of"),
        ({"schedules": ("later",)}, "is not NAME=FILE"),
        ({"schedules": ("fixed={more}",)}, "which the run has"),
        ({"schedules": ("latest={more}",)}, "has no schedule 'latest'. Add [schedules.latest] there"),
        ({"schedules": ("later=nowhere.toml",)}, "there is no such file"),
        ({"most": 20_000}, "budget.most = 20000"),
    ],
)
def test_what_cannot_be_had_is_refused(values: dict[str, Any], words: str, more: Path) -> None:
    values = {
        key: tuple(word.format(more=more) for word in value) if isinstance(value, tuple) else value
        for key, value in values.items()
    }
    with pytest.raises(Exception, match=r"\.") as raised:
        extend_study(study(), Extension(**values), "runs/s")
    assert words in str(raised.value)


def test_another_length_is_refused_with_the_schedules_whose_rates_depend_on_it() -> None:
    schedules: dict[str, Any] = {
        "fixed": {"lr": 0.1},
        "late": {"kind": "fixed", "lr": 0.1, "warmup": 0.1},
        "moved": {"kind": "fixed", "lr": 0.1, "momentum": {"from": 0.8, "to": 0.9}},
        "cosine": {"lr": 0.1},
    }
    task = {
        "dataset": "digits", "model": "softmax-regression", "batch_size": 64, "epochs": 3,
        "optimizer": {"name": "sgd", "momentum": 0.9},
    }  # fmt: skip
    spec = parse_study({"name": "s", "task": task, "schedules": schedules}, "test")
    with pytest.raises(InputError, match="the rates of late, moved, cosine depend on it, winners were") as e:
        extend_study(spec, Extension(epochs=9), "runs/s")
    remedy = e.value.problems[0].remedy
    assert f"of {spec.all_trials} trials" in remedy
    assert "'task.lengths=[3, 9]'" in remedy
