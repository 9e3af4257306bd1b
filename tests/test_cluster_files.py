"""The cluster files are what they claim to be: YAML of the right kind, a script that bash can read."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import typer
import yaml

import lrstudy.cli.commands  # noqa: F401 - registers the commands
from lrstudy.cli import app

FOLDER = Path(__file__).parents[1] / "studies" / "cluster"


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_ray_cluster_names_its_head_and_shows_its_job_server_to_nobody() -> None:
    cluster = load("ray-cluster.yaml")
    assert cluster["head_node_type"] in cluster["available_node_types"]
    assert {"cluster_name", "provider", "auth", "setup_commands"} <= cluster.keys()
    start = next(line for line in cluster["head_start_ray_commands"] if "--head" in line)
    assert "--dashboard-host=127.0.0.1" in start


def test_the_kuberay_job_runs_a_study_with_one_image_and_no_secret_in_it() -> None:
    job = load("kuberay-job.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [one for group in groups for one in group["template"]["spec"]["containers"]]
    assert len({container["image"] for container in containers}) == 1
    assert all("env" not in container and container["envFrom"] for container in containers)
    assert job["spec"]["entrypoint"].startswith("lrstudy run ")


def test_bash_reads_the_slurm_script() -> None:
    subprocess.run(["bash", "-n", str(FOLDER / "slurm.sh")], check=True)


def test_every_lrstudy_command_in_them_has_only_options_that_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    said = 0
    for file in (file for file in FOLDER.iterdir() if file.suffix != ".md"):  # pages have a test of their own
        for line in re.findall(r"lrstudy ((?:run|submit) [^\n&]*)", file.read_text()):
            name, *words = shlex.split(line)
            known = {option for parameter in commands[name].params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known, line
            said += 1
    assert said >= 3
