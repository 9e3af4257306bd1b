"""Sources and their readers: folders of logs, folders of several tools, packages that are missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lrstudy.errors import InputError
from lrstudy.trackers import is_source, read_any

CSV = "epoch,val_loss\n1,0.5\n2,0.25\n"


def write(file: Path, content: str = CSV) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def states(folder: Path, *steps: int) -> None:
    """Write the Trainer's state in each checkpoint, which repeats the ones before."""
    for step in steps:
        rows = [{"step": each, "epoch": each / 10, "eval_loss": 1 / each} for each in range(10, step + 1, 10)]
        write(folder / f"checkpoint-{step}" / "trainer_state.json", json.dumps({"log_history": rows}))


def test_a_file_is_read_as_a_log(tmp_path: Path) -> None:
    (table,) = read_any(str(write(tmp_path / "a.csv")))
    assert table.names == ["epoch", "val_loss"]


def test_the_logs_below_a_folder_are_read_in_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b/1.csv", "a/2.csv", "a/1.csv", "c.jsonl"):
        write(tmp_path / name, '{"epoch": 1, "val_loss": 0.5}\n' if name.endswith("jsonl") else CSV)
    tables = read_any(str(tmp_path))
    names = [table.where.removeprefix(f"{tmp_path}/") for table in tables]
    assert names == ["a/1.csv", "a/2.csv", "b/1.csv", "c.jsonl"]


def test_a_trial_of_ray_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "trial_1" / "progress.csv")
    write(
        tmp_path / "trial_1" / "result.json",
        '{"epoch": 1, "val_loss": 0.5}\n{"epoch": 2, "val_loss": 0.25}\n',
    )
    write(
        tmp_path / "trial_2" / "result.json",
        '{"epoch": 1, "val_loss": 0.5}\n{"epoch": 2, "val_loss": 0.25}\n',
    )
    names = [table.where.removeprefix(f"{tmp_path}/") for table in read_any(str(tmp_path))]
    assert names == ["trial_1/progress.csv", "trial_2/result.json"]


def test_other_files_of_a_folder_are_left_out_with_a_note(tmp_path: Path) -> None:
    write(tmp_path / "run" / "metrics.csv")
    write(tmp_path / "run" / "config.json", '{"model_type": "gpt2"}')
    write(tmp_path / "run" / "README.txt", "a,b\nno numbers\n")
    write(tmp_path / "run" / "model.bin", "\0")
    write(tmp_path / ".git" / "x.csv", "\0")
    (table,) = read_any(str(tmp_path))
    assert table.notes == [f"{tmp_path}: left out, no logs of a training: run/README.txt, run/config.json"]


def test_the_last_state_of_a_trainers_checkpoints_counts(tmp_path: Path) -> None:
    states(tmp_path / "cosine", 20, 100, 30)
    states(tmp_path / "fixed", 20)
    write(
        tmp_path / "fixed" / "trainer_state.json",
        json.dumps({"log_history": [{"step": 1, "eval_loss": 1.0}]}),
    )
    tables = read_any(str(tmp_path))
    names = [table.where.removeprefix(f"{tmp_path}/") for table in tables]
    assert names == ["cosine/checkpoint-100/trainer_state.json", "fixed/trainer_state.json"]


def test_a_broken_table_in_a_folder_is_refused_with_all_others(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, "epoch,val_loss\n1,\0\n")
    write(tmp_path / "c.csv")
    with pytest.raises(InputError) as caught:
        read_any(str(tmp_path))
    assert [problem.where for problem in caught.value.problems] == [
        str(tmp_path / n) for n in ("a.csv", "b.csv")
    ]


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "config.json", "{}")
    with pytest.raises(InputError, match=r"holds no log of a training .*config\.json.*Give event files"):
        read_any(str(tmp_path))


def test_a_folder_with_runs_of_two_trackers_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "logs" / "events.out.tfevents.1", "")
    write(tmp_path / "wandb" / "offline-run-1" / "run-a.wandb", "")
    with pytest.raises(InputError, match=r"holds runs of W&B \(wandb\) and of TensorBoard"):
        read_any(str(tmp_path))


def test_event_files_inside_a_trackers_folder_do_not_count(tmp_path: Path) -> None:
    write(tmp_path / "wandb" / "offline-run-1" / "run-a.wandb", "")
    write(tmp_path / "wandb" / "offline-run-1" / "files" / "events.out.tfevents.1", "")
    with pytest.raises(InputError, match="is not a file of an offline W&B run"):
        read_any(str(tmp_path))


def test_a_folder_with_mlruns_is_read_by_mlflow(tmp_path: Path) -> None:
    write(tmp_path / "mlruns" / "1" / "meta.yaml", "name: digits\n")
    with pytest.raises(InputError, match=f"mlflow:{tmp_path}/mlruns: "):
        read_any(str(tmp_path))


def test_a_missing_path_gets_the_message_of_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_any(str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("package", "source", "extra"),
    [
        ("wandb", "wandb://me/digits", "'lrstudy[wandb]'"),
        ("wandb.proto", "{folder}/run-a.wandb", "'lrstudy[wandb]'"),
        ("tensorboard.compat.proto", "{folder}/events.out.tfevents.1", "'lrstudy[tensorboard]'"),
        ("mlflow", "mlflow:http://localhost:1#x", "'lrstudy[mlflow]'"),
        ("optuna", "optuna:{folder}/a.log#x", "optuna"),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, source: str, extra: str
) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "run-a.wandb").write_bytes(b":W&B\xe1\xbe\0")
    (tmp_path / "events.out.tfevents.1").write_bytes(b"")
    (tmp_path / "a.log").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        read_any(source.format(folder=tmp_path))
    assert caught.value.exit_code == 2
    assert "which is not installed" in str(caught.value)
    assert f"Install it: pip install {extra}" in str(caught.value)


def test_sources_are_told_from_files(tmp_path: Path) -> None:
    given = {"wandb://a/b": True, "mlflow:x": True, "optuna:x": True, str(tmp_path): True, "a.csv": False}
    assert {source: is_source(source) for source in given} == given
