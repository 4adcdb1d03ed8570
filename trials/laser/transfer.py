"""How a trained Laser ranks on data that it was not trained on (section 5.4): `python -m trials.laser.transfer --help`.

What was learnt goes over as it is: M-Former and suffix. What belongs to items is made for the other data: their texts,
and their embeddings. Ranked are validation items; the test split is promotion's alone.

The paper does not say where a zero-shot M-Former has its collaborative embeddings from. Two ways are measured:
`no interactions` gives it zeros, so that nothing but the items' texts and the user's own history is seen of the other
data; `own recommender` gives it those of an ID-based recommender trained on the other data's training sequences, whose
directions the M-Former has never met.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from searchplat.contract import AssetSource, DataRequest, TrialJob, WarmCache, asset_source, renewed
from searchplat.contract.measures import of_targets
from searchplat.errors import InputError, SearchplatError
from searchplat.paths import resolve
from trials.data import open_search
from trials.data.preparing.dataset import Queries, SearchData
from trials.laser.build import build
from trials.laser.collaborative import Collaborator
from trials.laser.config import LaserConfig
from trials.laser.model import LaserModel
from trials.training.measures import metrics
from trials.training.measures.evaluation import target_ranks
from trials.training.recommender import Recommender
from trials.training.seeds import seed_everything

WEIGHTS, ABOUT = "model.safetensors", "model.json"
OF_ITEMS = ("memory.", "collaborator.", "comparison.bias_N", "comparison.vectors_ND", "comparison.vector_weights_N")
"""Beginnings of the names of tensors that belong to the items of the data trained on."""


class Popularity(Recommender):
    """Items by their training interactions: what any transfer must beat."""

    def __init__(self, data: SearchData) -> None:
        super().__init__()
        self.counts_N = torch.as_tensor(data.popularity_N(), dtype=torch.float64)

    def scores(self, queries: Queries) -> Tensor:
        """The counts for every query, `[B, N]`."""
        return self.counts_N.expand(len(queries), -1)


def transfer(folder: Path, request: DataRequest, assets: AssetSource) -> dict[str, dict[str, float]]:
    """Metrics on the validation items of other data, by row: popularity, and the ways of the module's docstring.

    Args:
        folder: A final training's folder, or a package made of one.
        request: The other data.
        assets: For data and backbone, and where an ID-based recommender is kept.

    Returns:
        Row -> metric -> value in [0, 1]. Variants without an M-Former have the one row `laser` beside popularity.

    Raises:
        InputError: If the folder holds no trained Laser, or its settings do not fit the other data.
    """
    config, weights, seed = _trained(folder)
    data = open_search(request, assets)
    if config.attributes is not None:
        kept = tuple(name for name in config.attributes if name in data.attributes)
        config = config.model_copy(update={"attributes": kept})
    found = {"popularity": _measure(Popularity(data), config, data)}
    job = TrialJob(None, config, request, seed, folder, assets, WarmCache(), threads=torch.get_num_threads())
    if not config.has_former:
        return {**found, "laser": _measure(_model(config, weights, data, job, blank=True), config, data)}
    silent = _model(config, weights, data, job, blank=True)
    assert isinstance(silent.collaborator, Collaborator)
    silent.collaborator.silent = True
    if silent.comparison.bias_N is not None:
        torch.nn.init.zeros_(silent.comparison.bias_N)  # it starts at popularity, which is of interactions
    found["laser, no interactions"] = _measure(silent, config, data)
    found["laser, own recommender"] = _measure(_model(config, weights, data, job, blank=False), config, data)
    return found


def _model(
    config: LaserConfig, weights: dict[str, Tensor], data: SearchData, job: TrialJob, *, blank: bool
) -> LaserModel:
    seed_everything(job.seed)
    model = build(config, data, job, blank=blank)
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(OF_ITEMS)}
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in weights.items()}:
        raise InputError(f"{job.folder / WEIGHTS}: the weights must be those of the settings beside them; copy both")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])
    return model


def _measure(model: Recommender, config: LaserConfig, data: SearchData) -> dict[str, float]:
    ranks_U = target_ranks(
        model,
        data.valid_queries(),
        data.valid_targets(),
        batch_size=config.eval_batch_size,
        rank_met=data.rank_met,
    )
    return metrics.summarise(ranks_U, filter(of_targets, config.metrics))


def _trained(folder: Path) -> tuple[LaserConfig, dict[str, Tensor], int]:
    """Settings, weights that belong to no item, and seed."""
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["method"] != "laser":
            raise InputError(f"{folder / ABOUT}: must be a model of method 'laser', got {about['method']!r}")
        config, seed = LaserConfig(**renewed({}, about["config"])[1]), int(about["seed"])
        tensors = safetensors.torch.load((folder / WEIGHTS).read_bytes())
    except (OSError, ValueError, LookupError, TypeError, safetensors.SafetensorError) as error:
        raise InputError(f"{folder}: must hold a trained model, {ABOUT} and {WEIGHTS}, but: {error}") from error
    precision = "float32"  # a CPU computes bfloat16 many times more slowly
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(OF_ITEMS)}
    return config.model_copy(update={"precision": precision}), weights, seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rows; 2 if the input is wrong."""
    options = argparse.ArgumentParser(
        prog="python -m trials.laser.transfer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("folder", help="of a final training (model.json, model.safetensors), or a package")
    options.add_argument("--data", required=True, metavar="NAME", help="the other data set, as `searchplat data` lists")
    options.add_argument("--json", action="store_true", help="print JSON")
    chosen = options.parse_args(arguments)
    try:
        found = transfer(resolve(chosen.folder, "folder"), DataRequest(chosen.data), asset_source())
    except SearchplatError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if chosen.json:
        print(json.dumps({"data": chosen.data, "split": "validation", "rows": found}, indent=1))
        return 0
    names = list(next(iter(found.values())))
    print(f"{'zero-shot on ' + chosen.data + ', validation':<40}" + "".join(f"{name:>12}" for name in names))
    for row, values in found.items():
        print(f"{row:<40}" + "".join(f"{values[name]:>12.4f}" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
