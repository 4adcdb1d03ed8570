"""Hub names, against a server on loopback that speaks the hub's protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from searchplat.assets import hub

FILES = {
    "config.json": b'{"model_type": "opt"}',
    "model.safetensors": b"W" * 100,
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"pickle",
    "modeling_evil.py": b"raise SystemExit",
    "onnx/model.onnx.json": b"{}",
}


def _ask(server: Any, tmp_path: Path, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Fetch in a process of its own: the hub library reads its environment once, at import."""
    code = """
import sys
from pathlib import Path
from searchplat.assets import AssetStore
from searchplat.errors import AssetError
store = AssetStore(Path("cache"))
try:
    print(store.fetch(sys.argv[1]))
    print(store.cached(sys.argv[1]), len(store.digest(sys.argv[1])))
except AssetError as error:
    print(error)
"""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "SEARCHPLAT_"))}
    kept |= {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", code, name]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=kept | environment, timeout=60)


def test_a_hub_name_lands_in_the_hub_cache_and_is_not_asked_for_again(tmp_path: Path, server: Any) -> None:
    server.publish_repo("owner/model", FILES)
    first = _ask(server, tmp_path, "owner/model")
    assert first.returncode == 0, first.stderr
    folder = Path(first.stdout.splitlines()[0])
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert folder.is_relative_to(tmp_path / "hf")
    assert first.stdout.splitlines()[1] == "True 64"
    server.asked.clear()
    assert _ask(server, tmp_path, "owner/model", HF_HUB_OFFLINE="1").stdout == first.stdout
    assert not server.asked


def test_weights_that_need_unpickling_are_refused(tmp_path: Path, server: Any) -> None:
    server.publish_repo("owner/old", {name: FILES[name] for name in ("config.json", "pytorch_model.bin")})
    answer = _ask(server, tmp_path, "owner/old").stdout
    assert "weights are never unpickled" in answer
    assert "owner/old" in answer
    assert "folder's path" in answer
    assert not [path for path in server.asked if path.endswith(".bin")]


def test_a_repository_larger_than_allowed_is_refused_before_it_is_fetched(tmp_path: Path, server: Any) -> None:
    server.publish_repo("owner/model", FILES)
    answer = _ask(server, tmp_path, "owner/model", SEARCHPLAT_MAX_DOWNLOAD_GB="1e-7").stdout
    assert "raise SEARCHPLAT_MAX_DOWNLOAD_GB" in answer
    assert not [path for path in server.asked if "/resolve/" in path]
    # Of the files that would be fetched: the pickle and the code do not count.
    assert _ask(server, tmp_path, "owner/model", SEARCHPLAT_MAX_DOWNLOAD_GB="1.3e-7").returncode == 0
    assert [path for path in server.asked if path.endswith("model.safetensors")]
    wrong = _ask(server, tmp_path, "owner/other", SEARCHPLAT_MAX_DOWNLOAD_GB="many").stdout
    assert "must be a number of gigabytes, got 'many'" in wrong or "knows no owner/other" in wrong


def test_an_unknown_repository_is_named(tmp_path: Path, server: Any) -> None:
    answer = _ask(server, tmp_path, "owner/none").stdout
    assert answer.startswith("asset 'owner/none' cannot be had:")


def test_offline_says_so_without_asking(tmp_path: Path, server: Any) -> None:
    answer = _ask(server, tmp_path, "owner/model", SEARCHPLAT_OFFLINE="1").stdout
    assert "it is not in the Hugging Face cache, and the network is switched off" in answer
    assert not server.asked


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("facebook/opt-125m", True),
        ("facebook/opt-125m@refs/pr/27", True),
        ("opt", False),
        ("a/b/c", False),
        ("../x", False),
        ("a/..", False),
        ("/etc", False),
    ],
)
def test_hub_names(name: str, fits: bool) -> None:
    assert (hub.HUB_NAME.fullmatch(name) is not None) is fits


def test_sharded_weights_must_be_whole(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert not hub.has_weights(tmp_path)
    index = '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
    (tmp_path / "model.safetensors.index.json").write_text(index)
    (tmp_path / "model-1.safetensors").touch()
    assert not hub.has_weights(tmp_path)
    (tmp_path / "model-2.safetensors").touch()
    assert hub.has_weights(tmp_path)
