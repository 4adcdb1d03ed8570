"""The files of docs/cluster are what their readers take them for; the page names them all, and options that exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "cluster.md").read_text(encoding="utf-8")
KUBERNETES = sorted((DOCS / "cluster").glob("kuberay-*.yaml"))


def test_the_page_links_every_file_and_only_those() -> None:
    linked = set(re.findall(r"\]\(cluster/([\w.-]+)\)", PAGE))
    assert linked == {path.name for path in (DOCS / "cluster").iterdir()}


def test_ray_takes_the_file_for_ray_up() -> None:
    import ray

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text(encoding="utf-8"))
    config = yaml.safe_load((DOCS / "cluster" / "aws.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(config, schema)
    # What Ray checks besides.
    types = config["available_node_types"]
    assert config["head_node_type"] in types
    assert sum(each.get("min_workers", 0) for each in types.values()) <= config["max_workers"]
    assert types["head"]["resources"]["CPU"] == 0
    started = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in line for line in started if "ray start" in line)


def cluster_of(path: Path) -> dict[str, Any]:
    """The specification of the Ray cluster in a file for KubeRay."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert found["apiVersion"] == "ray.io/v1"
    assert found["kind"] in ("RayCluster", "RayJob")
    cluster: dict[str, Any] = found["spec"]["rayClusterSpec"] if found["kind"] == "RayJob" else found["spec"]
    return cluster


def pods(cluster: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values()), "KubeRay takes texts only"
        yield group["template"]["spec"]


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_the_files_for_kubernetes_ask_for_tokens_and_mount_what_they_name(path: Path) -> None:
    cluster = cluster_of(path)
    assert cluster["authOptions"] == {"mode": "token"}
    for pod in pods(cluster):
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            assert set(mounts) == volumes
            for variable in container["env"]:
                assert variable["value"].startswith(tuple(mounts.values())), variable
            assert container["resources"]["limits"] == container["resources"]["requests"]


def test_both_files_for_kubernetes_make_the_same_cluster() -> None:
    first, second = (cluster_of(path) for path in KUBERNETES)
    assert first == second


def test_the_script_for_slurm_is_a_script(tmp_path: Path) -> None:
    done = subprocess.run(["bash", "-n", DOCS / "cluster" / "slurm.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_the_page_and_the_files_tell_to_run_has_options_that_exist() -> None:
    from typer.testing import CliRunner

    from searchplat.cli.app import app

    said = CliRunner().invoke(app, ["search", "--help"], env={"COLUMNS": "200"}).output
    texts = [PAGE, *(path.read_text(encoding="utf-8") for path in (DOCS / "cluster").iterdir())]
    lines = [line for text in texts for line in re.findall(r"searchplat search [^\n`']*", text)]
    assert len(lines) >= 5
    for option in {option for line in lines for option in re.findall(r"--[a-z-]+", line)}:
        assert option in said, option
