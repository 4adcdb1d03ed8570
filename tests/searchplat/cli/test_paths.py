"""Every option, variable and key of a space that takes a path reads it in the same way, however it is written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import Result

from searchplat.assets import AssetStore
from searchplat.contract import AssetSource
from searchplat.engine.checkpoints.retention import of_search
from searchplat.engine.worker.environment import quiet_environment
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder, runs_root
from searchplat.spec import load, load_text, to_document
from searchplat.tracking.store.address import Address, chosen_uri
from trials.data.source import find_source

Run = Callable[..., Result]
HalfDone = tuple[SearchFolder, Ledger]

ODD = "a?b#c%20d ü"
RATINGS = "userId,movieId,rating,timestamp\n" + "".join(f"{u},{i},5,{i}\n" for u in (1, 2, 3) for i in range(1, 6))
MOVIES = "movieId,title,genres\n" + "".join(f"{i},Film {i} (1999),Drama\n" for i in range(1, 6))
SPACE = """\
method: darec
data: {{name: ml-latest-small, folder: {path}}}
objective: {{metric: valid/mrr, direction: maximize}}
fixed: {{backbone: {path}, num_layers: 2}}
search:
  text_encoder: {{type: categorical, choices: [minilm-l6-v2, facebook/opt-125m, random-bert, {path}], default: {path}}}
  cf_width: {{type: int, low: 8, high: 16, step: 2, when: {{text_encoder: {path}}}}}
stages:
  - {{name: one, over: [text_encoder, cf_width], searcher: {{name: random}}, trials: 2, fixed: {{backbone: {path}}}}}
controls:
  - {{name: own, values: {{backbone: {path}}}}}
  - {{name: other, method: laser, values: {{backbone: {path}, num_layers: 2}}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a difficult name, below the home folder and the working folder."""
    folder = tmp_path / ODD
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


@pytest.fixture(params=["home", "relative", "absolute", "slash", "dots"])
def text(request: pytest.FixtureRequest, folder: Path) -> str:
    """The ways to write it; some with a folder of each name that they are not to be taken for."""
    return {
        "home": f"~/{ODD}",
        "relative": ODD,
        "absolute": str(folder),
        "slash": f"{ODD}/",
        "dots": f"../{folder.parent.name}/{ODD}",
    }[request.param]


def yaml(path: str) -> str:
    return json.dumps(path, ensure_ascii=False)


def test_options_of_commands(text: str, folder: Path, half_done: HalfDone, cli: Run) -> None:
    shutil.copytree(half_done[0].path.parent / "first", folder / "first")
    (folder / "space.yaml").write_text("method: popularity\n")

    assert "first" in cli("status", "--runs", text).stdout
    for command in ("export first --to csv --out {}/t.csv", "report first --out {}/r.html"):
        words = [word.format(text.rstrip("/")) for word in command.split()]
        result = cli(*words, "--runs", text)
        assert result.exit_code == 0, result.output
    assert {"t.csv", "r.html"} <= {path.name for path in folder.iterdir()}
    assert f"{folder}: holds no trained model" in cli("predict", text).output
    assert cli("assets", "fetch", text).stdout.strip() == str(folder)
    assert f"{folder / 'space.yaml'}".removeprefix("/") in cli("check", f"{folder}/space.yaml").output
    assert "there is no such file" not in cli("check", f"{text.rstrip('/')}/space.yaml").output


def test_variables(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "ml-latest-small").mkdir()
    (folder / "ml-latest-small" / "ratings.csv").write_text(RATINGS)
    (folder / "ml-latest-small" / "movies.csv").write_text(MOVIES)
    for name in ("SEARCHPLAT_RUNS", "SEARCHPLAT_CACHE", "SEARCHPLAT_DATA_DIR", "HF_HOME"):
        monkeypatch.setenv(name, text)
    assert runs_root() == folder
    assert AssetStore().cache == folder
    assert find_source("ml-latest-small").available(AssetStore())
    told = quiet_environment()
    assert [told[name] for name in ("SEARCHPLAT_CACHE", "SEARCHPLAT_DATA_DIR", "HF_HOME")] == 3 * [str(folder)]


def test_addresses(text: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{quote(text.rstrip('/'), safe='/~')}/m.db?timeout=5"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for chosen in (chosen_uri(uri), chosen_uri(None), chosen_uri(chosen_uri(uri))):
        assert Address.parse(chosen).sqlite == folder / "m.db"
        assert chosen.endswith("?timeout=5")
    for given in (text, None):
        monkeypatch.setenv("SEARCHPLAT_STORAGE", text)
        storage = of_search(SearchFolder(tmp_path / "runs", "new"), given)
        assert storage is not None
        assert Path(storage.base).parent == folder


def test_the_default_store_of_a_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert Address.parse(chosen_uri(None)).sqlite == folder / "mlflow.db"
    assert Address.parse(chosen_uri("")).sqlite == folder / "mlflow.db"


def test_keys_of_a_space(text: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "config.json").write_text('{"num_hidden_layers": 2}')
    there, path = str(folder), yaml(text)
    spec = load_text(SPACE.format(path=path))
    assert spec.data.options["folder"] == there
    assert spec.fixed["backbone"] == spec.stages[0].fixed["backbone"] == there
    axis = to_document(spec)["search"][0]
    assert axis["choices"] == ["minilm-l6-v2", "facebook/opt-125m", "random-bert", there]
    assert axis["default"] == there if "default" in axis else spec.fixed["text_encoder"] == there
    assert spec.space.domains[1].when[0].values == (there,)
    assert [control.values["backbone"] for control in spec.controls] == [there, there]
    overrides = (f"data.folder={path}", f"backbone={path}")
    spec = load("sasrec", overrides=("data.name=ml-latest-small", overrides[0]))
    assert spec.data.options["folder"] == there
    assert load("darec", scale="smoke", overrides=(overrides[1], "num_layers=2")).fixed["backbone"] == there


def test_a_name_is_no_folder_unless_the_asset_store_takes_it_for_one(folder: Path, tmp_path: Path) -> None:
    for name in ("smollm2-135m", "random-llama", "facebook/opt-125m"):
        (tmp_path / name).mkdir(parents=True)

    def backbone(name: str) -> object:
        return load("darec", scale="smoke", overrides=(f"backbone={name}", "num_layers=2")).fixed["backbone"]

    assert backbone("smollm2-135m") == "smollm2-135m"  # the catalogue wins
    assert backbone("random-llama") == "random-llama"  # the method's own
    assert backbone("facebook/opt-125m") == str(tmp_path / "facebook/opt-125m")  # a folder wins over the hub
    assert backbone("facebook/opt-350m") == "facebook/opt-350m"
    assert backbone("./nothing-here") == "./nothing-here"  # the store says what it could be


def test_a_path_that_cannot_be_read_is_a_problem_of_its_key(folder: Path) -> None:
    with pytest.raises(InputError, match=r"yaml:2:\d+ data\.folder: '~nobody-of-this-name' must be"):
        load_text(SPACE.format(path="~nobody-of-this-name/x"))
    with pytest.raises(
        InputError, match=r"data\.folder: must be a path on this machine, got the address 's3://bucket'"
    ):
        load_text(SPACE.format(path="s3://bucket"))


@pytest.fixture
def locked(folder: Path) -> Iterator[Path]:
    """The folder, which not even root may write."""
    made = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    else:
        folder.chmod(0o500)
        if os.access(folder, os.W_OK):
            pytest.skip("root, and no folder can be mounted")
    try:
        yield folder
    finally:
        if made:
            subprocess.run(["umount", folder], check=True)
        else:
            folder.chmod(0o700)


def test_what_must_be_written_and_cannot_is_said(
    half_done: HalfDone, folder: Path, space: Path, cli: Run, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    half_done[1].close()
    shutil.copytree(half_done[0].path, folder / "first")
    locked = str(request.getfixturevalue("locked"))
    runs = str(half_done[0].path.parent)
    for words in (
        ["search", str(space), "--runs", locked],
        ["search", str(space), "--name", "first", "--runs", locked],
        ["promote", "first", "--runs", locked],
        ["search", str(space), "--storage", locked],
        ["run", str(space), "--folder", locked],
        ["run", str(space), "--folder", f"{locked}/new"],
        ["report", "first", "--runs", locked],
        ["report", "first", "--runs", runs, "--out", f"{locked}/r.html"],
        ["export", "first", "--runs", runs, "--to", "csv", "--out", f"{locked}/t.csv"],
        ["export", "first", "--runs", runs, "--to", "optuna", "--out", f"{locked}/t.db"],
    ):
        result = cli(*words)
        assert result.exit_code == 2, (words, result.output)
        assert locked in result.output
        assert "bug" not in result.output
    result = cli("sync", "first", "--runs", runs, "--tracking-uri", f"sqlite:///{quote(locked)}/m.db")
    assert result.exit_code == 75, result.output
    # Reading writes nothing.
    for command in ("status", "trials", "best"):
        result = cli(command, "first", "--runs", locked)
        assert result.exit_code == 0, (command, result.output)


def test_a_cache_that_cannot_be_written_is_said(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(locked))
    store: AssetSource = AssetStore()
    with pytest.raises(InputError, match=r"cannot be written .*set SEARCHPLAT_CACHE"):
        store.folder("prepared")
