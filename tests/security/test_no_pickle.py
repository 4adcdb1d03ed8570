"""After a real search and a real promotion: no file is a pickle, and reading all of it unpickles nothing."""

from __future__ import annotations

import os
import pickletools
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from promotions import ended_search

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 2}
search: {x: {type: float, low: 0.0, high: 1.0}}
trials: 2
searcher: {name: random}
resources: {cpu: 1, gpu: 0}
"""
SUFFIXES = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib", ".ckpt", ".dill"}

WATCHED = """
import sys
found = []
sys.addaudithook(lambda event, arguments: found.append(arguments) if event == "pickle.find_class" else None)
from searchplat.cli import main
try:
    main()
finally:
    print("unpickled:", found, file=sys.stderr)
"""


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, whatever it is called, or an archive that holds one."""
    if path.suffix in SUFFIXES:
        return True
    content = path.read_bytes()
    if content[:6] == b"\x93NUMPY":
        return np.lib.format.open_memmap(path, mode="r").dtype.hasobject
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(Path(name).suffix in SUFFIXES for name in archive.namelist())
    if not content or content[:1] not in (b"\x80", b"(", b"c", b"]", b"}"):
        return False
    try:
        return sum(1 for _ in pickletools.genops(content)) > 1
    except Exception:
        return False


def test_the_search_for_pickles_finds_them(tmp_path: Path) -> None:
    import pickle

    import torch

    (tmp_path / "a").write_bytes(pickle.dumps({"a": Path("x")}))
    (tmp_path / "b").write_bytes(pickle.dumps([1], protocol=0))
    np.save(tmp_path / "c.npy", np.array([{}], dtype=object), allow_pickle=True)
    torch.save({"w": torch.zeros(1)}, tmp_path / "d.zip")
    (tmp_path / "e.json").write_text('{"a": 1}')
    np.save(tmp_path / "f.npy", np.zeros(3))
    found = {path.name for path in tmp_path.iterdir() if path.name != "c.npy" and is_pickle(path)}
    assert found == {"a", "b", "d.zip"}
    with pytest.raises(ValueError, match="can't be memory-mapped"):
        is_pickle(tmp_path / "c.npy")


@pytest.mark.by_hand
@pytest.mark.slow  # a search, and a promotion with real training
@pytest.mark.timeout(900)
def test_a_search_and_a_promotion_leave_no_pickle_and_read_none(tmp_path: Path) -> None:
    variables = {**os.environ, "SEARCHPLAT_CACHE": str(tmp_path / "cache"), "SEARCHPLAT_OFFLINE": "1"}

    def searchplat(*words: str, watched: bool = False) -> str:
        start = [sys.executable, "-c", WATCHED] if watched else [sys.executable, "-m", "searchplat"]
        done = subprocess.run([*start, *words], capture_output=True, text=True, timeout=500, env=variables)
        assert done.returncode == 0, done.stderr
        return done.stderr

    (tmp_path / "space.yaml").write_text(SPACE)
    searchplat("search", "space.yaml")
    ended_search(tmp_path / "runs")
    searchplat("promote", "ended", "--top", "1", "--seeds", "1", "--race", "0", "--epochs", "1")

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"model.safetensors", "ledger.sqlite", "python_model.py"} & {path.name for path in files}
    print(f"looked at {len(files)} files: {sorted({path.suffix for path in files})}")
    assert [path for path in files if is_pickle(path)] == []

    for words in (
        ("predict", "models:/ended@champion", "--history", "toy-1", "--json"),
        ("compare", "ended", "--json"),
        ("report", "ended"),
        ("export", "space", "--to", "csv"),
    ):
        assert searchplat(*words, watched=True).splitlines()[-1] == "unpickled: []", words
