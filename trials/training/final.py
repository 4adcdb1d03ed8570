"""Final training: the one loop with early stopping, shared among workers, and tested once.

`FinalLoop` is what the platform drives (`searchplat.contract.FinalTraining`). With several workers each takes a
part of every global batch (`Recommender.share`), and DistributedDataParallel adds up the gradients, so that a
step is that of one worker with the whole batch; how weights and losses come out the same is told in `share`.
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
import torch.distributed as dist
from torch import Tensor, nn

from searchplat.contract import COLD_RANKS, SAMPLED, SAMPLED_RANKS, FinalJob, Tested, TestPermit
from searchplat.errors import InputError
from trials.data import open_final
from trials.data.preparing.dataset import IntArray, Queries, SearchData
from trials.data.whole_files import replace_bytes
from trials.training import checkpoints
from trials.training.cold import is_cold
from trials.training.config import LoopConfig
from trials.training.loop import Loop
from trials.training.method import sampled
from trials.training.recommender import Losses, Recommender
from trials.training.seeds import epoch_seed, seed_everything

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
        super().__init__(model, data, config, seed=trial.seed, folder=trial.folder, negatives_UM=negatives_UM)
        self._job, self._method = job, method
        self._best_epoch = 0
        self._best_metrics: dict[str, float] = {}
        self._parallel: nn.Module | None = None
        if job.workers > 1 and self._trained:
            if type(model).share is Recommender.share:
                raise InputError(
                    f"method {method!r} cannot be trained by {job.workers} workers; promote with --workers 1"
                )
            device = self._device()
            self._parallel = nn.parallel.DistributedDataParallel(
                _Parts(model),
                device_ids=[device] if device.type == "cuda" else None,
                find_unused_parameters=True,  # a part of a batch may lack what a loss needs
                broadcast_buffers=False,
            )

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
        self._meet()

    def _more_state(self) -> dict[str, Any]:
        return {"best_epoch": self._best_epoch, "best_metrics": self._best_metrics}

    def _restore_more(self, state: Any) -> None:
        self._best_epoch, self._best_metrics = state["best_epoch"], dict(state["best_metrics"])

    def test(self, permit: TestPermit, metrics_wanted: Sequence[str]) -> Tested:
        """Load the best epoch's weights, rank every user's test item, write ranks and weights to the job's folder.

        The history of a query is the training sequence and the validation item. With sampled negatives, which then
        leave out the test items as well, every metric is measured among them besides, as `sampled/<name>`, under
        which name it may be asked for as well; a configuration without them has none of these. Metrics over cold items
        are made of ranks that are written besides.

        Raises:
            InputError: If the best epoch's weights are not there.
        """
        self.load_best()
        final = open_final(self._job.trial.data, self._job.trial.assets, permit)
        negatives_UM = sampled(self.config, final, self._job.trial.assets)
        names = list(dict.fromkeys(name.removeprefix(SAMPLED) for name in metrics_wanted))
        rows = final.test_rows
        targets_T = final.test_target_U[rows]
        negatives_TM = None if negatives_UM is None else negatives_UM[rows]
        found_CU, found = self.measure(final.test_queries(), targets_T, negatives_TM, names)
        if self._job.rank == 0:
            files = dict(zip((RANKS, SAMPLED_RANKS), found_CU, strict=False))
            if any(is_cold(name) for name in names):
                files[COLD_RANKS] = self.cold_ranks(found_CU[0], targets_T)
            self._keep(files)
        self._meet()
        return Tested(found, found_CU.shape[1], self.folder / RANKS)

    def rankings(self, queries: Queries, targets_U: IntArray, candidates: Sequence[IntArray | None]) -> IntArray:
        """Ranks of targets, each worker's part of the queries put together; see `evaluation.rankings`."""
        rank, workers = self._job.rank, self._job.workers
        if workers == 1:
            return super().rankings(queries, targets_U, candidates)
        first, stop = len(queries) * rank // workers, len(queries) * (rank + 1) // workers
        mine = [None if negatives_UM is None else negatives_UM[first:stop] for negatives_UM in candidates]
        own = super().rankings(queries.rows(first, stop), targets_U[first:stop], mine)
        ranks_CU = torch.zeros((len(candidates), len(queries)), dtype=torch.int64, device=self._device())
        ranks_CU[:, first:stop] = torch.from_numpy(np.asarray(own)).to(ranks_CU)
        dist.all_reduce(ranks_CU)
        return ranks_CU.cpu().numpy()

    def _seed_epoch(self) -> None:
        # Other rows, other dropout: equal streams in all workers would drop the same units everywhere.
        seed_everything(epoch_seed(self.seed, self._epoch) + self._job.rank)

    def _backward(self, batch: Any) -> dict[str, float]:
        if self._parallel is None:
            return super()._backward(batch)
        job = self._job
        part, weights = self.model.share(batch, job.rank, job.workers)
        parts: Losses = self._parallel(part)
        if unknown := parts.keys() - weights.keys():
            raise ValueError(
                f"{type(self.model).__name__}.share: every part of the loss needs a weight, {sorted(unknown)} has none"
            )
        zero = torch.zeros((), device=self._device())
        weighted = {name: weight * parts.get(name, zero) for name, weight in weights.items()}
        values = torch.stack([value.detach().double() for value in weighted.values()])
        dist.all_reduce(values)
        total = float(values.sum())
        if math.isfinite(total):
            # DistributedDataParallel takes the mean over the workers where the sum is wanted.
            (job.workers * torch.stack(list(weighted.values())).sum()).backward()  # type: ignore[no-untyped-call]
        named = {f"train/{name}": float(value) for name, value in zip(weighted, values, strict=True)}
        return {"train/loss": total, **named}

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
        self._meet()
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

    def _meet(self) -> None:
        """Wait for the other workers: what rank 0 wrote is there afterwards."""
        if self._job.workers > 1:
            dist.barrier()


class _Parts(nn.Module):
    """A model whose `forward` is its loss: what DistributedDataParallel watches."""

    def __init__(self, model: Recommender) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """Named losses of a part of a batch."""
        return self.model.loss(batch)
