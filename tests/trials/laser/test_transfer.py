"""Zero-shot transfer: what goes over, what is made for the other data, and what the command prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from method_cases import CASES, Bench, Case

from searchplat.contract import DataRequest, FinalJob, TestPermit
from searchplat.errors import InputError
from searchplat.firewall import ISSUER
from trials.laser import transfer as command
from trials.laser.transfer import transfer

OTHER = DataRequest("toy", {"items": 25, "users": 30, "seed": 3})


def trained(root: Path, **values: Any) -> tuple[Bench, Path]:
    """A final training's folder."""
    bench = Bench(Case("laser", {**CASES["laser-llama"].values, **values}), root / "cache")
    training: Any = bench.method.start_final(FinalJob(bench.job(root / "run", epochs=1), "valid/mrr"))
    training.run_epoch()
    training.save()
    training.test(TestPermit("s", 1, 1, ISSUER), ["mrr"])
    return bench, root / "run"


def test_rows_of_another_data_set(tmp_path: Path) -> None:
    bench, folder = trained(tmp_path)
    found = transfer(folder, OTHER, bench.assets)
    assert list(found) == ["popularity", "laser, no interactions", "laser, own recommender"]
    assert all(0 < row["mrr"] <= 1 for row in found.values())
    assert transfer(folder, OTHER, bench.assets) == found
    bench.method.pack(folder, tmp_path / "package", bench.assets)
    assert transfer(tmp_path / "package", OTHER, bench.assets) == found


def test_on_its_own_data_it_ranks_as_validation_did_but_for_fresh_items(tmp_path: Path) -> None:
    """The items are encoded anew by the final weights, where validation had those of the epoch's start."""
    bench, folder = trained(tmp_path)
    found = transfer(folder, DataRequest("toy"), bench.assets)["laser, own recommender"]
    loop: Any = bench.start(tmp_path / "fresh")
    weights = command._trained(folder)[1]
    with torch.no_grad():
        for name, tensor in loop.model.state_dict().items():
            if name in weights:
                tensor.copy_(weights[name])
    ranks_U = loop.ranks(loop.data.valid_queries(), loop.data.valid_target_U)
    assert found["mrr"] == pytest.approx(float((1 / ranks_U).mean()))


def test_without_an_mformer_there_is_one_way(tmp_path: Path) -> None:
    bench, folder = trained(tmp_path, variant="no-mformer", attributes=("genres", "year"))
    assert list(transfer(folder, OTHER, bench.assets)) == ["popularity", "laser"]


def test_what_is_an_items_own_stays_behind(tmp_path: Path) -> None:
    """Vectors and biases of items are the other data's, which has not trained them; projections go over."""
    options = {"project_states": True, "item_vectors": True, "item_bias": "popularity", "whiten_states": True}
    bench, folder = trained(tmp_path, vector_shrinkage=2.0, **options)
    kept = command._trained(folder)[1]
    assert {name for name in kept if name.startswith("comparison.")} == {
        f"comparison.{name}"
        for name in ("mean_2D", "whitening_DD", "of_users.weight", "of_users.bias", "of_items.weight")
    }
    found = transfer(folder, OTHER, bench.assets)
    assert found["laser, no interactions"] != found["laser, own recommender"]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bench, folder = trained(tmp_path, variant="no-prefix")
    monkeypatch.setattr(command, "asset_source", lambda: bench.assets)
    assert command.main([str(folder), "--data", "toy", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["data"], said["split"], list(said["rows"])) == ("toy", "validation", ["popularity", "laser"])
    assert command.main([str(folder), "--data", "toy"]) == 0
    assert "popularity" in capsys.readouterr().out
    assert command.main([str(tmp_path), "--data", "toy"]) == 2
    assert "must hold a trained model, model.json and model.safetensors" in capsys.readouterr().err


def test_another_methods_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"method": "sasrec", "config": {}, "seed": 0}))
    with pytest.raises(InputError, match="must be a model of method 'laser', got 'sasrec'"):
        transfer(tmp_path, OTHER, Bench(CASES["popularity"], tmp_path / "cache").assets)
