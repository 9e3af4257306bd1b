"""Runs that MLflow's client wrote, into a database and a folder, as tables; and those of a server."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from lrstudy.errors import InputError
from lrstudy.store.log_formats import LogTable
from lrstudy.trackers import read_any

STARTED = 1_700_000_000_000  # milliseconds
LOSSES = [1.0, 0.5, 0.25]


def fill(uri: str) -> None:
    with warnings.catch_warnings(action="ignore"):  # of SQLAlchemy about MLflow
        fill_experiments(uri)


def fill_experiments(uri: str) -> None:
    client = MlflowClient(uri)
    experiment = client.create_experiment("digits")
    for seed, schedule in enumerate(("fixed", "cosine")):
        run = client.create_run(experiment, start_time=STARTED + seed, run_name=f"{schedule}-{seed}")
        metrics = [
            Metric("val_loss", value, STARTED + 1000 * (at + 1), 10 * at) for at, value in enumerate(LOSSES)
        ]
        metrics += [Metric("train_loss", value, STARTED, at) for at, value in ((0, 2.0), (5, math.nan))]
        metrics += [Metric("lr", 0.1, STARTED, 0), Metric("lr", 0.2, STARTED + 1, 0)]
        metrics += [Metric("peak", math.inf, STARTED, 0), Metric("system/cpu", 1.0, STARTED, 0)]
        client.log_batch(
            run.info.run_id,
            metrics=metrics,
            params=[Param("schedule", schedule), Param("seed", str(seed))],
            tags=[RunTag("team", "a")],
        )
        client.set_terminated(run.info.run_id)
    deleted = client.create_run(experiment)
    client.log_metric(deleted.info.run_id, "val_loss", 9.0)
    client.delete_run(deleted.info.run_id)
    unordered = client.create_run(client.create_experiment("unordered"), run_name="plain")
    for value in LOSSES:
        client.log_metric(unordered.info.run_id, "val_loss", value, timestamp=STARTED + int(100 / value))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mlflow") / "runs.db"
    fill(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="module")
def mlruns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow") / "mlruns"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        fill(folder.as_uri())
    return folder


def check(tables: list[LogTable]) -> None:
    assert [table.constants["run.name"] for table in tables] == ["fixed-0", "cosine-1"]
    for seed, table in enumerate(tables):
        columns: dict[str, Any] = {name: values.tolist() for name, values in table.columns.items()}
        assert columns["step"] == [0, 5, 10, 20]
        assert columns["val_loss"] == [1.0, None, 0.5, 0.25]
        assert columns["train_loss"][0] == 2.0
        assert math.isnan(columns["train_loss"][1])
        assert columns["train_loss"][2:] == [None, None]
        assert columns["lr"] == [0.2, None, None, None]  # the last value of a step
        assert columns["peak"][0] == math.inf
        assert columns["seconds"] == pytest.approx(
            [1 - seed / 1000, -seed / 1000, 2 - seed / 1000, 3 - seed / 1000], abs=2e-3
        )
        assert "system/cpu" not in columns
        assert table.constants["params.seed"] == str(seed)
        assert table.constants["tags.team"] == "a"
        assert table.constants["run.state"] == "finished"


def test_a_database_gives_its_experiments_runs(database: Path) -> None:
    check(read_any(f"mlflow:sqlite:///{database}#digits"))


def test_a_folder_gives_its_experiments_runs(mlruns: Path) -> None:
    check(read_any(f"mlflow:{mlruns}#digits"))


def test_metrics_are_chosen_by_pattern(database: Path) -> None:
    tables = read_any(f"mlflow:sqlite:///{database}#digits", ["system/*"])
    assert tables[0].names == ["step", "system/cpu", "seconds"]
    with pytest.raises(InputError, match=r"none of its metrics fits --tag 'x'\. It has .*val_loss"):
        read_any(f"mlflow:sqlite:///{database}#digits", ["x"])


def test_values_logged_without_steps_are_counted_in_their_order(database: Path) -> None:
    (table,) = read_any(f"mlflow:sqlite:///{database}#unordered")
    assert table.columns["step"].tolist() == [1, 2, 3]
    assert table.columns["val_loss"].tolist() == LOSSES
    assert "plain: logged without steps" in table.notes[0]


def test_runs_beyond_a_page_are_read(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrstudy.trackers.mlflow_runs._PAGE", 1)
    check(read_any(f"mlflow:sqlite:///{database}#digits"))


@pytest.mark.parametrize(
    ("name", "message"), [("", "has several experiments"), ("#digit", "has no experiment 'digit'")]
)
def test_an_experiment_must_be_named_where_there_are_several(database: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"{message}.*known: .*digits"):
        read_any(f"mlflow:sqlite:///{database}{name}")


def test_missing_stores_are_refused_and_not_created(tmp_path: Path) -> None:
    for address in (f"sqlite:///{tmp_path}/runs.db", f"{tmp_path}/mlruns", str(tmp_path)):
        with pytest.raises(InputError, match=r"there is no file|is not a folder of MLflow"):
            read_any(f"mlflow:{address}#digits")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_cut_is_refused(database: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(database, tmp_path / "cut.db"))
    file.write_bytes(file.read_bytes()[:-40_000])
    with pytest.raises(InputError, match=r"cut\.db is damaged .*Copy it again"):
        read_any(f"mlflow:sqlite:///{file}#digits")


def test_another_tools_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE experiments (a)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(InputError, match="is not a database of MLflow: it has no table runs"):
        read_any(f"mlflow:sqlite:///{file}#digits")
    assert file.read_bytes() == before


def test_a_database_of_an_old_version_is_refused_with_the_command_that_upgrades_it(
    database: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copy(database, tmp_path / "old.db"))
    connection = sqlite3.connect(file)
    connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=r"MLflow cannot read it.*mlflow db upgrade"):
        read_any(f"mlflow:sqlite:///{file}#digits")


def test_a_broken_metric_file_is_refused(mlruns: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(mlruns, tmp_path / "mlruns"))
    for file in copy.glob("*/*/metrics/val_loss"):
        file.write_text("1700000000000 one 0\n")
    with pytest.raises(InputError, match="MLflow cannot read it"):
        read_any(f"mlflow:{copy}#digits")


def test_names_that_could_steer_a_terminal_are_escaped(mlruns: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(mlruns, tmp_path / "mlruns"))
    for run in (path.parent for path in copy.glob("*/*/params")):
        (run / "tags" / "mlflow.runName").write_text("a\x1b[2Jb")
        meta = run / "meta.yaml"
        meta.write_text(meta.read_text().replace("run_name: fixed-0", 'run_name: "a\\e[2Jb"'))
    tables = read_any(f"mlflow:{copy}#digits")
    assert not any("\x1b" in table.where for table in tables)


class _Server(BaseHTTPRequestHandler):
    """The three answers of MLflow's REST interface that a reader needs, as its documentation has them."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self._answer(json.loads(self.rfile.read(length)))

    def do_GET(self) -> None:
        self._answer({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})

    def _answer(self, request: dict[str, Any]) -> None:
        info = {
            "run_id": "r1",
            "run_name": "fixed",
            "experiment_id": "1",
            "start_time": STARTED,
            "status": "FINISHED",
        }
        points = [
            {"key": "val_loss", "value": v, "timestamp": STARTED, "step": s} for s, v in enumerate(LOSSES)
        ]
        params = [{"key": "seed", "value": "3"}]
        answers: dict[str, Any] = {
            "experiments/search": {"experiments": [{"experiment_id": "1", "name": "digits"}]},
            "runs/search": {"runs": [{"info": info, "data": {"metrics": points[-1:], "params": params}}]},
            "metrics/get-history": {"metrics": points},
        }
        key = urlsplit(self.path).path.removeprefix("/api/2.0/mlflow/")
        body = json.dumps(answers.get(key, {})).encode()
        self.send_response(200 if key in answers else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()


def test_a_server_gives_its_experiments_runs(server: str) -> None:
    (table,) = read_any(f"mlflow:http://me:secret@{server}#digits")
    assert table.columns["val_loss"].tolist() == LOSSES
    assert table.constants["params.seed"] == "3"
    assert "secret" not in table.where


def test_a_server_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match="MLflow cannot read it") as caught:
        read_any("mlflow:http://me:secret@127.0.0.1:9#digits")
    assert "secret" not in str(caught.value)
