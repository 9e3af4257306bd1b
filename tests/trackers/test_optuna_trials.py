"""Trials of Optuna's own storages as tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from lrstudy.errors import InputError
from lrstudy.trackers import read_any

optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(trial: optuna.Trial) -> float:
    schedule = trial.suggest_categorical("schedule", ["fixed", "cosine"])
    lr = trial.suggest_float("lr", 1e-3, 1.0, log=True)
    trial.set_user_attr("host", "a")
    for step in (30, 10, 20):
        trial.report(lr / step, step)
    if trial.number == 2:
        raise optuna.TrialPruned
    if trial.number == 3:
        raise RuntimeError(schedule)
    return lr / 40


def fill(storage: optuna.storages.BaseStorage | str) -> optuna.Study:
    study = optuna.create_study(storage=storage, study_name="digits", direction="minimize")
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    study.optimize(objective, n_trials=5, catch=RuntimeError)
    return study


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, optuna.Study]:
    file = tmp_path_factory.mktemp("optuna") / "study.db"
    return file, fill(f"sqlite:///{file}")


def test_each_trial_that_ended_is_a_run_with_its_values(database: tuple[Path, optuna.Study]) -> None:
    file, study = database
    tables = read_any(f"optuna:sqlite:///{file}#digits")
    ended = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(tables) == len(ended) == 4
    for table, trial in zip(tables, ended, strict=True):
        read = dict(zip(table.columns["step"].tolist(), table.columns["value"].tolist(), strict=True))
        assert read == trial.intermediate_values
        assert list(read) == [10, 20, 30]
        assert table.constants == {
            "study.name": "digits",
            "study.direction": "minimize",
            "params.schedule": trial.params["schedule"],
            "params.lr": trial.params["lr"],
            "attrs.host": "a",
            "run.name": f"trial-{trial.number}",
            "run.state": trial.state.name.lower(),
            "trial.number": trial.number,
            "trial.value": trial.value,
        }
    assert "1 trials left out, in state FAIL" in tables[0].notes[0]


def test_the_only_study_needs_no_name(database: tuple[Path, optuna.Study]) -> None:
    assert len(read_any(f"optuna:sqlite:///{database[0]}")) == 4


def test_an_unknown_study_is_refused_with_the_known_ones(database: tuple[Path, optuna.Study]) -> None:
    with pytest.raises(InputError, match=r"has no study 'digit'\. Choose one: #STUDY\. Known: digits"):
        read_any(f"optuna:sqlite:///{database[0]}#digit")


def test_a_journal_is_read(tmp_path: Path) -> None:
    file = tmp_path / "journal.log"
    fill(optuna.storages.JournalStorage(JournalFileBackend(str(file))))
    tables = read_any(f"optuna:{file}#digits")
    assert [table.columns["step"].tolist() for table in tables] == [[10, 20, 30]] * 4


def test_a_trial_without_intermediate_values_has_its_final_one(tmp_path: Path) -> None:
    file = tmp_path / "journal.log"
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(file)))
    study = optuna.create_study(storage=storage, study_name="a")
    study.add_trial(optuna.trial.create_trial(value=0.5))
    (table,) = read_any(f"optuna:{file}")
    assert table.columns["value"].tolist() == [0.5]


def test_a_missing_file_is_refused_and_not_created(tmp_path: Path) -> None:
    for source in (f"optuna:sqlite:///{tmp_path}/a.db#x", f"optuna:{tmp_path}/a.log#x"):
        with pytest.raises(InputError, match="there is no file"):
            read_any(source)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_cut_is_refused(database: tuple[Path, optuna.Study], tmp_path: Path) -> None:
    file = Path(shutil.copy(database[0], tmp_path / "cut.db"))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.db is damaged .*Copy it again"):
        read_any(f"optuna:sqlite:///{file}#digits")


def test_broken_pages_are_refused(database: tuple[Path, optuna.Study], tmp_path: Path) -> None:
    file = Path(shutil.copy(database[0], tmp_path / "broken.db"))
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.db"):
        read_any(f"optuna:sqlite:///{file}#digits")


def test_a_database_of_another_tool_is_refused_and_not_changed(tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "other.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE studies (a)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(InputError, match="is not a database of Optuna: it has no table trials"):
        read_any(f"optuna:sqlite:///{file}#x")
    assert file.read_bytes() == before


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "journal.log"
    file.write_text('{"op_code": 0, "study_na\n{}\n')
    with pytest.raises(InputError, match="Optuna cannot read it"):
        read_any(f"optuna:{file}#digits")


def test_passwords_are_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        read_any("optuna:postgresql+nothing://me:secret@localhost/db#x")
    assert "secret" not in str(caught.value)


def test_a_study_with_several_objectives_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "journal.log"
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(file)))
    optuna.create_study(storage=storage, study_name="a", directions=["minimize", "maximize"])
    with pytest.raises(InputError, match="has several objectives"):
        read_any(f"optuna:{file}#a")
