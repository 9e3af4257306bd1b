"""Each command line of the store's page about logs of other tools, on logs in that tool's form."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app
from lrstudy.store import open_store

PAGE = Path(__file__).parents[2] / "lrstudy" / "store" / "README.md"
COMMANDS = re.findall(r"^\| .* \| `(lrstudy import .*)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

LIGHTNING = "epoch,step,train_loss,val_loss\n0,4,,0.9\n0,9,,0.8\n0,9,1.5,\n1,14,,0.7\n1,19,,0.6\n1,19,1.2,\n"
KERAS = "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.3,2.0,0.4,1.9\n1,0.5,1.5,0.5,1.4\n"
RAY = "mean_accuracy,training_iteration,config/schedule,config/seed\n0.3,1,{0},{1}\n0.5,2,{0},{1}\n"
SCALAR = "Wall time,Step,Value\n1700000000.5,10,0.9\n1700000001.5,20,0.7\n"
CHART = '"Step","fixed - val/acc","step - val/acc"\n"10","0.3",""\n"15","","0.4"\n"20","0.5","0.6"\n'
HISTORY = (
    ",_step,_runtime,train/global_step,train/loss,eval/loss\n"
    "0,0,1,10,2.0,\n1,1,2,10,,1.5\n2,2,3,20,1.0,1.25\n"
)
METRICS = "run_id,key,value,step,timestamp\na,val_acc,0.3,10,1\nb,val_acc,0.5,10,2\n"
ALGOPERF = "global_step,accumulated_submission_time,validation/accuracy\n10,5,0.1\n2260,65,0.8\n"
FAIRSEQ = '2024-05-01 | INFO | valid | {"epoch": 1, "valid_ppl": "256", "valid_num_updates": "200"}\n'
OWN = "schedule,seed,tokens,val_loss\nstep,1,512,0.9\nstep,1,1024,0.7\nfixed,1,512,0.8\n"


def trainer(run: str) -> str:
    log = [{"epoch": at / 2, "step": 5 * at, "eval_loss": 1 / at, "eval_f1": 1 - 1 / at} for at in (1, 2, 3)]
    return json.dumps({"log_history": log, "is_hyper_param_search": False, "run": run})


def files(texts: dict[str, str]) -> Callable[[], None]:
    def write() -> None:
        for name, text in texts.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text)

    return write


# For each source: its files, and the study with its schedules, metric, clock and evaluations.
LOGS: dict[str, tuple[Callable[[], None], tuple[str, list[str], str, str, int]]] = {
    "logs": (
        files({f"logs/{name}/version_0/metrics.csv": LIGHTNING for name in ("cosine", "fixed")}),
        ("logs", ["cosine", "fixed"], "val_loss", "epochs", 8),
    ),
    "outputs": (
        files({f"outputs/{name}/trainer_state.json": trainer(name) for name in ("cosine", "fixed")}),
        ("outputs", ["cosine", "fixed"], "eval_f1", "steps", 6),
    ),
    "keras": (
        files({f"keras/{name}.csv": KERAS for name in ("cosine-1", "cosine-2", "fixed-1")}),
        ("keras", ["cosine", "fixed"], "val_accuracy", "epochs", 6),
    ),
    "ray_results/*/progress.csv": (
        files({f"ray_results/{seed}/progress.csv": RAY.format("cosine", seed) for seed in (3, 4)}),
        ("imported", ["cosine"], "mean_accuracy", "epochs", 4),
    ),
    "run-*-tag-val_loss.csv": (
        files({f"run-{name}-tag-val_loss.csv": SCALAR for name in ("cosine", "fixed")}),
        ("digits", ["cosine", "fixed"], "val_loss", "steps", 4),
    ),
    "wandb_chart.csv": (
        files({"wandb_chart.csv": CHART}),
        ("wandb_chart", ["fixed", "step"], "val_accuracy", "steps", 4),
    ),
    "history.csv": (files({"history.csv": HISTORY}), ("history", ["history"], "val_loss", "steps", 2)),
    "metrics.csv": (files({"metrics.csv": METRICS}), ("metrics", ["a", "b"], "val_accuracy", "steps", 2)),
    "measurements.csv": (
        files({"measurements.csv": ALGOPERF}),
        ("measurements", ["measurements"], "val_accuracy", "seconds", 2),
    ),
    "train.log": (files({"train.log": FAIRSEQ}), ("train", ["train"], "valid_ppl", "epochs", 1)),
    "own.csv": (files({"own.csv": OWN}), ("own", ["step", "fixed"], "val_loss", "tokens", 3)),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_has_a_command_for_each_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _, subcommand, source, *options = shlex.split(command)
    write, expected = LOGS[source]
    write()
    sources = sorted(map(str, Path().glob(source)))
    before = sorted(tmp_path.rglob("*"))
    preview = CliRunner().invoke(app, [subcommand, *sources, *options, "--dry-run"], env={"COLUMNS": "80"})
    assert preview.exit_code == 0, preview.output
    assert sorted(tmp_path.rglob("*")) == before
    result = CliRunner().invoke(app, [subcommand, *sources, *options], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    store = open_store(f"runs/{expected[0]}")
    study = store.study
    schedules = [schedule.name for schedule in study.schedules]
    rows = store.evaluations().num_rows
    assert (study.name, schedules, study.metric.name, study.target_clock, rows) == expected


def test_each_tool_has_its_line() -> None:
    assert [shlex.split(command)[2] for command in COMMANDS] == list(LOGS)
