"""`scripts/gpu`: all of it runs on a CPU, and what is carried comes out as it went in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
HERE = {**os.environ, "PYTHON": sys.executable}


def gpu(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts" / "gpu", *words], env=HERE | more, capture_output=True, text=True)


@pytest.fixture
def carrying(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "benchmarks" / "gpu"))
    import carrying

    return carrying


def test_parts_are_joined_to_what_was_split_and_all_are_asked_for(carrying: Any, tmp_path: Path) -> None:
    content, parts, target = tmp_path / "content", tmp_path / "parts", tmp_path / "target"
    (content / "data").mkdir(parents=True)
    (content / "data" / "some.bin").write_bytes(os.urandom(50_000))
    made = carrying.split(content, parts, 20_000)
    assert [part.name[-8:] for part in made] == ["01-of-03", "02-of-03", "03-of-03"]
    assert max(part.stat().st_size for part in made) <= 20_000
    carrying.join(parts, target)
    assert (target / "data" / "some.bin").read_bytes() == (content / "data" / "some.bin").read_bytes()
    made[1].unlink()
    with pytest.raises(SystemExit, match=r"all parts that `scripts/gpu pack` wrote, got .*01-of-03, .*03-of-03; carry"):
        carrying.join(parts, target)


def test_a_backbone_keeps_its_first_layers_and_its_tokenizer(carrying: Any, tmp_path: Path) -> None:
    from searchplat.assets import AssetStore
    from trials.backbones.decoders.decoder_lm import load_decoder

    carrying.opt_shape(tmp_path / "whole", ["red book", "old film"], tiny=True)
    carrying.first_layers(tmp_path / "whole", tmp_path / "first", 1, "it")
    whole, first = (load_decoder(str(tmp_path / name), AssetStore(tmp_path)) for name in ("whole", "first"))
    assert (whole.num_layers, first.num_layers) == (2, 1)
    assert first.tokenize(["red film"]) == whole.tokenize(["red film"])
    assert json.loads((tmp_path / "first" / "about.json").read_text())["words"] == "first 1 of 2 layers of it, BF16"


def test_what_is_measured_is_the_scale_paper_on_the_backbone_that_is_there(carrying: Any, tmp_path: Path) -> None:
    import settings

    carrying.opt_shape(tmp_path / "backbone", ["red book"], tiny=True)
    made = settings.Settings("cuda", False, str(tmp_path / "backbone"), "random-bert", str(tmp_path), ["batch_size=64"])
    spec = made.spec(*made.changed)
    assert (spec.scale, spec.data.name) == ("paper", "scientific")
    expected = {"backbone": made.backbone, "num_layers": 2, "text_encoder": "random-bert", "batch_size": 64}
    assert spec.fixed.items() >= expected.items()
    order = made.order(spec, dict(spec.fixed), 1, "paper")
    assert (order.gpu, order.data_fraction, order.folder) == (True, 1.0, str(tmp_path / "trials" / "paper"))


def test_methods_are_found_where_nothing_is_installed(carrying: Any, tmp_path: Path) -> None:
    carrying._name_methods(tmp_path, ROOT)
    read = (
        "import sys; from importlib.metadata import distributions\n"
        "(ours,) = distributions(path=sys.argv[1:])\n"
        "print(*(entry.value for entry in ours.entry_points if entry.name == 'darec'))"
    )
    found = subprocess.run([sys.executable, "-c", read, tmp_path], capture_output=True, text=True, check=True)
    assert found.stdout == "trials.darec:DARec\n"


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_rehearsal_comes_to_the_end_of_every_part(tmp_path: Path) -> None:
    done = gpu("rehearse", OUT=str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert found["machine"]["rehearsed"]
    parts = found["parts"]
    assert {name: part["state"] for name, part in parts.items()} == dict.fromkeys(("speed", "packed", "paper"), "done")
    assert all(row["ratio"] > 0 for row in parts["speed"]["rows"])
    assert next(row["parts"] for row in parts["packed"]["rows"] if "parts" in row) == 1
    assert all(0 < row["ratio"] < 10 for row in parts["packed"]["rows"] if "parts" in row)
    assert 0 < parts["paper"]["rows"][-1]["metrics"]["valid/mrr"] <= 1
    for what in ("batch of 6", "probe: all serial", "1 at once", "epoch 1 of"):
        assert what in done.stdout


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_part_that_has_no_time_costs_the_others_nothing(tmp_path: Path) -> None:
    done = gpu("rehearse", "--only", "speed", "--minutes", "0.2", "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "speed: " in done.stdout
    assert "time was up" in done.stdout
    assert json.loads((tmp_path / "out" / "gpu.json").read_text())["parts"].keys() == {"speed"}


def test_without_a_gpu_it_says_what_can_be_done(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    done = gpu("run", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "Torch sees no GPU; `scripts/gpu rehearse` runs all of it on a CPU" in done.stderr
