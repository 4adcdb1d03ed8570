"""The one training loop: an epoch of training, an evaluation on validation, a checkpoint.

`Loop` is what the platform drives (`searchplat.contract.Training`). What a model must offer is in
`recommender`; how it is measured in `evaluation`; how a checkpoint is written in `checkpoints`.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from searchplat.errors import InputError, out_of_memory
from trials.data.preparing.dataset import IntArray, Queries, SearchData
from trials.training import checkpoints
from trials.training.accumulation import MOST_PARTS, backward
from trials.training.measures.evaluation import Progress, Ranked, rankings, shared_rankings
from trials.training.measures.lists import ListMeasures
from trials.training.measures.measuring import figures, longest
from trials.training.memory import peak_bytes, release
from trials.training.ranks import Ranks
from trials.training.recommender import Recommender
from trials.training.schedule import rate_factor
from trials.training.seeds import epoch_rng, epoch_seed, seed_everything
from trials.training.serving import persistent_buffers
from trials.training.settings.config import LoopConfig


class Loop:
    """Trains one model with AdamW and evaluates it on validation after every epoch.

    Everything random in an epoch follows from (seed, epoch), so a training that was interrupted between
    epochs and restored gives, on the same machine, the very figures of one that was not. A model without
    trainable parameters is only evaluated.

    Args:
        model: Already on its device. Parameters without a gradient are left alone and not saved.
        data: Validation queries come from here; the model has its own way to the training sequences.
        config: Length, rate, metrics.
        seed: Seeds every epoch.
        folder: Where checkpoints go; one process at a time uses it.
        negatives_UM: `[U, M]` sampled items among which validation targets are ranked besides; None for none.
        progress: Told about every batch of training and evaluation; may be set later.
        rank, workers: This process's place among those that train the model in step, see `ranks`: each takes a part
            of every batch and of the evaluation, and rank 0 alone writes checkpoints, which any number of workers
            takes up. Losses and metrics are those of one process, up to the order of sums; but where anything is
            drawn within the model, by dropout, every worker draws for its own examples, which is another draw.

    Raises:
        InputError: If there are several workers and the model cannot share a batch.
    """

    def __init__(
        self,
        model: Recommender,
        data: SearchData,
        config: LoopConfig,
        *,
        seed: int,
        folder: Path,
        negatives_UM: IntArray | None = None,
        progress: Progress | None = None,
        rank: int = 0,
        workers: int = 1,
    ) -> None:
        self.model = model
        self.data = data
        self.config = config
        self.seed = seed
        self.folder = folder
        self.negatives_UM = negatives_UM
        self.progress = progress
        rates, decays = model.rate_factors(), model.decay_factors()

        def factors(name: str) -> tuple[float, float]:
            return rates.get(name, 1.0), decays.get(name, 1.0)

        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        # Those of the same factors side by side, as their groups number them; the model's order if all have the same.
        self._trained = dict(sorted(trained, key=lambda named: factors(named[0])))
        groups = [
            {
                "params": [self._trained[name] for name in names],
                "factor": rate,
                "weight_decay": config.weight_decay * decay,
            }
            for (rate, decay), names in itertools.groupby(self._trained, factors)
        ]
        self._optimizer = (
            torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay) if groups else None
        )
        self._epoch = 0
        self._steps = 0
        self._parts = self._eval_parts = 1
        self._metrics: dict[str, float] = {}
        self._lists = ListMeasures(data)
        self._shares = type(model).share is not Recommender.share
        if workers > 1 and groups and not self._shares:
            raise InputError(
                f"{type(model).__name__} cannot be trained by {workers} workers, as it divides no batch (`share`); "
                "use one: resources.workers=1, or promote --workers 1"
            )
        self._ranks = Ranks(rank, workers, self._device())
        # Built by the same seed, but perhaps on other hardware.
        self._ranks.take_from_first(self._model_tensors().values())

    @property
    def epoch(self) -> int:
        """Epochs completed so far."""
        return self._epoch

    @property
    def epochs(self) -> int:
        """Epochs in all."""
        return self.config.epochs

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics of the last completed epoch, empty before the first; a checkpoint keeps them."""
        return dict(self._metrics)

    def run_epoch(self) -> dict[str, float]:
        """Train one epoch and evaluate on validation.

        Returns:
            `train/loss` (mean over batches of the summed parts) and `train/<part>` where anything is trained,
            `valid/<metric>` and, with sampled negatives, `valid/sampled/<metric>`, `time/train_seconds`,
            `time/evaluate_seconds`, `memory/peak_bytes`, `parameters` (how many are trained), and the model's own
            diagnostics. If a loss or a trained parameter is not finite, the epoch ends there: `train/loss` is that loss
            (NaN for a parameter) and every `valid/<metric>` is NaN. Once batches did not fit into memory,
            `memory/parts`: into how many parts they are taken since, each half as large as before that; gradients add
            up to those of the whole batch.

        Raises:
            RuntimeError: If all epochs are completed.
        """
        if self._epoch >= self.epochs:
            raise RuntimeError(f"all {self.epochs} epochs are completed; raise epochs to train on")
        if (device := self._device()).type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        started = time.perf_counter()
        self._seed_epoch()
        losses = self._train()
        trained = time.perf_counter()
        if all(math.isfinite(value) for value in losses.values()):
            rows = self.data.valid_rows
            negatives_VM = None if self.negatives_UM is None else self.negatives_UM[rows]
            ranked, scores = self.measure(
                self.data.valid_queries(), self.data.valid_targets(), negatives_VM, self.config.metrics
            )
            ranks = ranked.ranks_CU[0]
            self.model.after_validation(self._epoch, ranks if ranks.ndim == 1 else ranks[:, 0], scores)
            diagnostics = self.model.diagnostics()
        else:
            scores, diagnostics = dict.fromkeys(self.config.measured(), math.nan), {}
        evaluated = time.perf_counter()
        self._epoch += 1
        self._metrics = {
            **diagnostics,
            **losses,
            **{f"valid/{name}": value for name, value in scores.items()},
            "time/train_seconds": trained - started,
            "time/evaluate_seconds": evaluated - trained,
            "memory/peak_bytes": float(peak_bytes(device)),
            "parameters": float(sum(parameter.numel() for parameter in self._trained.values())),
            **({"memory/parts": float(self._parts)} if self._parts > 1 else {}),
        }
        return self.metrics

    def measure(
        self, queries: Queries, targets: IntArray, negatives_UM: IntArray | None, names: Sequence[str]
    ) -> tuple[Ranked, dict[str, float]]:
        """Rank, and the named metrics; with negatives the metrics among them besides, as `sampled/<name>`.

        `cold/<name>` and the like are over a group of users or targets, and left out if nobody is in it.

        Args:
            targets: `[U]`, or `[U, T]` several of each query; see `evaluation.rankings`.
        """
        candidates = [None] if negatives_UM is None else [None, negatives_UM]
        ranked = self.rankings(queries, targets, candidates, longest(names))
        return ranked, figures(ranked, queries, targets, names, self.data, self._lists)

    def ranks(self, queries: Queries, targets: IntArray, negatives_UM: IntArray | None = None) -> IntArray:
        """Ranks of targets under the present weights, among all items or the given ones."""
        ranks: IntArray = self.rankings(queries, targets, [negatives_UM]).ranks_CU[0]
        return ranks

    def rankings(
        self, queries: Queries, targets: IntArray, candidates: Sequence[IntArray | None], first: int = 0
    ) -> Ranked:
        """Ranks of targets and the first items under the present weights; see `evaluation.rankings`.

        Several workers score a part of the queries each. Queries that do not fit into memory together are scored in
        batches of half the size.
        """
        own = partial(self._own_rankings, first=first)
        return shared_rankings(self._ranks, self.model, own, queries, targets, candidates)

    def _own_rankings(
        self, queries: Queries, targets: IntArray, candidates: Sequence[IntArray | None], first: int
    ) -> Ranked:
        while True:
            batch_size = max(1, self.config.eval_batch_size // self._eval_parts)
            try:
                return rankings(
                    self.model,
                    queries,
                    targets,
                    candidates,
                    batch_size=batch_size,
                    rank_met=self.data.rank_met,
                    progress=self.progress,
                    first=first,
                )
            except Exception as error:
                if not out_of_memory(error) or batch_size == 1:
                    raise
            self._eval_parts *= 2
            release(self._device())

    def save(self) -> None:
        """Write a checkpoint of the present state, durably; see `checkpoints.write`. Of several workers rank 0 does."""
        if self._ranks.rank > 0:
            return
        state = {
            "steps": self._steps,
            "seed": self.seed,
            "parts": [self._parts, self._eval_parts],
            "data": self.data.fingerprint,
            "config": self.config.model_dump(mode="json"),
            # JSON has no NaN or infinity; either means the same here: not a number to go by.
            "metrics": {name: value if math.isfinite(value) else None for name, value in self._metrics.items()},
            **self._more_state(),
        }
        checkpoints.write(
            self.folder, checkpoints.Snapshot(self._epoch, self._model_tensors(), self._optimizer_tensors(), state)
        )

    def restore(self) -> int:
        """Load the newest valid checkpoint of the folder, if any; return its epochs completed, else 0.

        Raises:
            InputError: If the checkpoint is of another model, other data or another seed.
            PartnerLostError: If the workers do not see the same one.
        """
        return self._ranks.agree(self._restore(), f"the newest checkpoint of {self.folder}")

    def _restore(self) -> int:
        snapshot = checkpoints.read_newest(self.folder)
        if snapshot is None:
            return 0
        own = self._model_tensors()
        ours = {name: tuple(tensor.shape) for name, tensor in own.items()}
        theirs = {name: tuple(tensor.shape) for name, tensor in snapshot.model.items()}
        for what, mine, other in (
            ("tensors", ours, theirs),
            ("data", self.data.fingerprint, snapshot.state["data"]),
            ("seed", self.seed, snapshot.state["seed"]),
        ):
            if mine != other:
                raise InputError(
                    f"{self.folder}: the checkpoint's {what} must be this trial's, {_difference(mine, other)}; "
                    "give every trial a folder of its own"
                )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(snapshot.model[name])
        self._load_optimizer(snapshot.optimizer)
        self._epoch = snapshot.epoch
        self._steps = snapshot.state["steps"]
        # A checkpoint of an earlier version knows no parts.
        self._parts, self._eval_parts = snapshot.state.get("parts", (1, 1))
        kept = snapshot.state["metrics"].items()
        self._metrics = {name: math.nan if value is None else value for name, value in kept}
        self._restore_more(snapshot.state)
        return self._epoch

    def _more_state(self) -> dict[str, Any]:
        """What a kind of training of its own keeps in a checkpoint besides, as JSON values."""
        return {}

    def _restore_more(self, state: Mapping[str, Any]) -> None:
        """Take up what `_more_state` gave."""

    def _seed_epoch(self) -> None:
        """Seed everything random of the epoch that begins."""
        # Other examples, other dropout: equal streams in all workers would drop the same units everywhere.
        seed_everything(epoch_seed(self.seed, self._epoch) + self._ranks.rank)

    def _train(self) -> dict[str, float]:
        """Take one optimiser step a batch; return the mean of every named loss, or the first that is not finite."""
        if self._optimizer is None:
            return {}
        self.model.train()
        sums: dict[str, float] = {}
        batches = 0
        in_epoch = self.model.num_batches()
        for batch in self.model.batches(self._epoch, epoch_rng(self.seed, self._epoch)):
            self._set_rate(in_epoch * self.epochs)
            self._optimizer.zero_grad(set_to_none=True)
            losses = self._backward(batch)
            if not math.isfinite(losses["train/loss"]):
                return losses
            if self.config.gradient_clip is not None:
                nn.utils.clip_grad_norm_(self._trained.values(), self.config.gradient_clip)
            self._optimizer.step()
            self._steps += 1
            batches += 1
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            if self.progress is not None:
                self.progress("train", batches, in_epoch)
        if not batches:
            raise InputError(
                f"data {self.data.name!r}: {type(self.model).__name__} must find something to train on, but got no "
                f"batch in epoch {self._epoch} from {self.data.num_users} users; raise the share of users"
            )
        means = {name: value / batches for name, value in sums.items()}
        if not all(bool(parameter.isfinite().all()) for parameter in self._trained.values()):
            means["train/loss"] = math.nan  # a finite loss whose last gradient was not
        return means

    def _backward(self, batch: Any) -> dict[str, float]:
        """Add the gradients of one batch; return its losses by metric name.

        A batch that does not fit into memory, of any worker, is taken in two parts, four, and so on, one after the
        other. Dropout then draws other units than for the whole batch.
        """
        ranks, trained = self._ranks, list(self._trained.values())
        while True:
            losses: dict[str, float] | None = None
            try:
                losses = backward(self.model, batch, self._parts, ranks.rank, ranks.workers)
            except Exception as error:
                if not out_of_memory(error) or not self._shares or self._parts >= MOST_PARTS:
                    raise
            # Outside of the handler: the error's traceback keeps tensors alive.
            if ranks.add_gradients(trained, done=losses is not None) and losses is not None:
                return ranks.add_values(losses)
            self._parts *= 2
            assert self._optimizer is not None
            self._optimizer.zero_grad(set_to_none=True)
            release(self._device())

    def _set_rate(self, total_steps: int) -> None:
        assert self._optimizer is not None
        factor = rate_factor(self._steps, total_steps, self.config.warmup_fraction, self.config.schedule)
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.learning_rate * group["factor"] * factor

    def _model_tensors(self) -> dict[str, Tensor]:
        """Trained parameters and persistent buffers: what training changes."""
        return {**self._trained, **persistent_buffers(self.model)}

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        """The optimiser's tensors, named `<parameter>/<key>`. Its settings follow from the config."""
        if self._optimizer is None:
            return {}
        return {
            f"{name}/{key}": value
            for name, parameter in self._trained.items()
            for key, value in self._optimizer.state.get(parameter, {}).items()
        }

    def _load_optimizer(self, tensors: Any) -> None:
        if self._optimizer is None:
            return
        number = {name: index for index, name in enumerate(self._trained)}
        state: dict[int, dict[str, Tensor]] = {}
        for path, tensor in tensors.items():
            name, _, key = path.rpartition("/")
            state.setdefault(number[name], {})[key] = tensor
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": state})

    def _device(self) -> torch.device:
        return next((tensor.device for tensor in self._model_tensors().values()), torch.device("cpu"))


def _difference(mine: object, other: object) -> str:
    """What differs, short enough for a sentence."""
    if isinstance(mine, dict) and isinstance(other, dict):
        names = sorted(name for name in mine.keys() | other.keys() if mine.get(name) != other.get(name))
        first = names[0]
        return f"but {len(names)} differ, the first is {first!r}: {mine.get(first)} here, {other.get(first)} there"
    return f"got {mine!r} here, {other!r} there"
