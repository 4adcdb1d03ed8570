"""Final training: the one loop with early stopping, shared among workers, and tested once.

`FinalLoop` is what the platform drives (`searchplat.contract.FinalTraining`); how several workers train one model is
told in `ranks`.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from searchplat.contract import SAMPLED, SAMPLED_RANKS, FinalJob, Tested, TestPermit, group_ranks_file
from searchplat.contract.measures import BEYOND, split_group
from searchplat.errors import InputError
from trials.data import open_final
from trials.data.preparing.dataset import IntArray, SearchData
from trials.data.whole_files import replace_bytes
from trials.training import checkpoints
from trials.training.loop import Loop
from trials.training.measures.groups import group_ranks
from trials.training.measures.measuring import of_every_group
from trials.training.method import sampled
from trials.training.recommender import Recommender
from trials.training.settings.config import LoopConfig

RANKS = "ranks.npy"
WEIGHTS = "model.safetensors"
ABOUT = "model.json"


class FinalLoop(Loop):
    """Trains one model in full.

    Args:
        model: On its device; with the same weights in every worker.
        data: Of all users that promotion asks for.
        job: What to go by, and this worker's place among the workers.
        method: The method's name, for the record.

    Raises:
        InputError: If there are several workers and the model cannot share a batch.
    """

    def __init__(self, model: Recommender, data: SearchData, job: FinalJob, method: str) -> None:
        trial = job.trial
        config = trial.config
        assert isinstance(config, LoopConfig)
        negatives_UM = sampled(config, data, trial.assets)
        super().__init__(
            model, data, config, seed=trial.seed, folder=trial.folder, negatives_UM=negatives_UM,
            rank=job.rank, workers=job.workers,
        )  # fmt: skip
        self._job, self._method = job, method
        self._best_epoch = 0
        self._best_metrics: dict[str, float] = {}

    @property
    def done(self) -> bool:
        """Whether all epochs are completed, or validation has not improved for `patience` epochs."""
        return self.epoch >= self.epochs or self.epoch - self._best_epoch >= self._job.patience

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose weights are kept; 0 before the first."""
        return self._best_epoch

    @property
    def best_metrics(self) -> dict[str, float]:
        """Metrics of the best epoch."""
        return dict(self._best_metrics)

    @property
    def num_parameters(self) -> int:
        """Trained parameters."""
        return sum(parameter.numel() for parameter in self._trained.values())

    @property
    def fingerprint(self) -> str:
        """Of the selection of the data that is trained on."""
        return self.data.fingerprint

    def run_epoch(self) -> dict[str, float]:
        """Train one epoch; see `Loop.run_epoch`. A new best is kept by the next `save`."""
        found = super().run_epoch()
        value = found.get(self._job.objective, math.nan)
        best = self._best_metrics.get(self._job.objective)
        if math.isfinite(value) and (best is None or (value > best if self._job.maximize else value < best)):
            self._best_epoch, self._best_metrics = self._epoch, found
        return found

    def save(self) -> None:
        """Write a checkpoint, and the weights apart if this epoch is the best so far."""
        if self._job.rank == 0:
            if self._best_epoch == self._epoch:
                best = checkpoints.Snapshot(self._epoch, self._model_tensors(), {}, {"data": self.data.fingerprint})
                checkpoints.write(self._best_folder, best)
            super().save()
        self._ranks.meet()

    def _more_state(self) -> dict[str, Any]:
        return {"best_epoch": self._best_epoch, "best_metrics": self._best_metrics}

    def _restore_more(self, state: Any) -> None:
        self._best_epoch, self._best_metrics = state["best_epoch"], dict(state["best_metrics"])

    def test(self, permit: TestPermit, metrics_wanted: Sequence[str]) -> Tested:
        """Load the best epoch's weights, rank every user's test item, write ranks and weights to the job's folder.

        The history of a query is the training sequence and the validation item. With sampled negatives, which then
        leave out the test items as well, every metric is measured among them besides, as `sampled/<name>`, under
        which name it may be asked for as well; a configuration without them has none of these. Metrics over a group are
        made of ranks that are written besides.

        Whether asked or not, the measures of lists of 10 and the wanted metrics over every group are among the figures:
        they cost little, and nobody has to open the test split again for them.

        Raises:
            InputError: If the best epoch's weights are not there.
        """
        self.load_best()
        final = open_final(self._job.trial.data, self._job.trial.assets, permit)
        negatives_UM = sampled(self.config, final, self._job.trial.assets)
        names = list(dict.fromkeys(name.removeprefix(SAMPLED) for name in metrics_wanted))
        rows = final.test_rows
        queries, targets = final.test_queries(), final.test_targets()
        negatives_TM = None if negatives_UM is None else negatives_UM[rows]
        everything = list(dict.fromkeys([*names, *BEYOND, *of_every_group(names)]))
        ranked, found = self.measure(queries, targets, negatives_TM, everything)
        if self._job.rank == 0:
            files = dict(zip((RANKS, SAMPLED_RANKS), ranked.ranks_CU, strict=False))
            for group in {group for group, _ in map(split_group, names) if group is not None}:
                ranks = group_ranks(group, self.data, queries.users_B, targets, ranked.ranks_CU[0])
                files[group_ranks_file(group)] = ranks
            self._keep(files)
        self._ranks.meet()
        return Tested(found, len(rows), self.folder / RANKS)

    @property
    def _best_folder(self) -> Path:
        return self.folder / "best"

    def load_best(self) -> None:
        """Load the best epoch's weights.

        Raises:
            InputError: If they are not there.
        """
        for path in self._best_folder.glob("epoch-*"):
            # Weights of a later epoch that a crash left there, before the checkpoint that knew of them.
            if int(path.name.partition("-")[2]) > self._best_epoch and self._job.rank == 0:
                path.rename(path.with_name(f".{path.name}.old"))
        self._ranks.meet()
        snapshot = checkpoints.read_newest(self._best_folder)
        if snapshot is None or snapshot.epoch != self._best_epoch:
            raise InputError(
                f"{self._best_folder}: the weights of epoch {self._best_epoch} must be there, undamaged; "
                "remove the folder above it, and the training is done again"
            )
        with torch.no_grad():
            for name, tensor in self._model_tensors().items():
                tensor.copy_(snapshot.model[name])

    def _keep(self, ranks: Mapping[str, IntArray]) -> None:
        """Write what others read; the ranks among all items last, so that where they are, all is."""
        trial = self._job.trial
        about = {
            "method": self._method,
            **({"code": self._job.code} if self._job.code is not None else {}),
            "config": self.config.model_dump(mode="json"),
            "data": {
                "name": trial.data.name, "options": dict(trial.data.options), "fraction": trial.data.fraction,
                "seed": trial.data.seed, "fingerprint": self.data.fingerprint,
            },
            "seed": self.seed,
            "best_epoch": self._best_epoch,
            "num_users": self.data.num_users,
            "num_items": self.data.num_items,
        }  # fmt: skip
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self._model_tensors().items()}
        replace_bytes(self.folder / WEIGHTS, safetensors.torch.save(tensors))
        replace_bytes(self.folder / ABOUT, json.dumps(about, indent=1, sort_keys=True).encode())
        for name, ranks_U in reversed(list(ranks.items())):
            content = io.BytesIO()
            np.save(content, ranks_U.astype(np.int32))
            replace_bytes(self.folder / name, content.getvalue())
