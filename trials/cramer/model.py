"""The CRAMER recommender: a request becomes gates, the gates mask the frozen backbone, which scores the items.

Shape letters: `B` requests, `G` gates (the paper's d), `W` width of the request encoder, `N` items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from searchplat.errors import InputError
from trials.backbones.encoders.request_encoder import FrozenRequests, TunedEncoder
from trials.backbones.recommenders.bert4rec import BERT4RecEncoder
from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.cramer.basis import RequestBasis
from trials.cramer.config import CRAMERConfig
from trials.cramer.gates import (
    gumbel,
    open_gates,
    prior_divergence,
    settled_gates,
    straight_through,
    threshold_through,
    top_k_gates,
)
from trials.cramer.layout import GateLayout
from trials.cramer.requests import Examples, HistoryTexts, Ints, Origin, asked
from trials.cramer.schedules import temperature
from trials.cramer.teacher import TextTeacher
from trials.data.preparing.dataset import Queries
from trials.training.recommender import Losses, Recommender

Backbone = SASRecEncoder | BERT4RecEncoder

_ROWS = 32
"""Queries that a CPU encodes at once: with 50 places and RecBole's widths a layer's activations take 1.6 MB."""


@dataclass(frozen=True)
class Batch:
    """Training examples of one step, or one worker's part of them.

    Args:
        queries: Histories with their requests.
        targets_B: Items to predict.
        tau: Temperature of this step.
        noise_seed: Of the Gumbel noise of the whole step.
        first: Place of the part's first example in the whole step.
        requests: Of the whole step, in order.
        fold: Whose backbone the step's masks act on; None for the one that answers.
    """

    queries: Queries
    targets_B: Ints
    tau: float
    noise_seed: int
    first: int
    requests: Sequence[str]
    fold: int | None = None

    def __len__(self) -> int:
        return len(self.targets_B)


class CRAMERModel(Recommender):
    """CRAMER around a frozen SASRec or BERT4Rec.

    Trained are `W_proj` and `b_proj` and, if the request encoder is tuned, part of it. The backbone's weights are
    persistent buffers: checkpoints and packages carry them.

    Source: sections 3.2 to 3.4, appendix A. Differs: the predictive loss is the next item's cross-entropy for both
    backbones; BERT4Rec's own loss would also predict hidden items in the middle, before which nothing was asked.
    `b_proj` starts at the logit of the prior, where equation A.5 is near its minimum; adding a constant to z changes
    neither the choice of gates nor the softmax.

    Args:
        config: The method's settings.
        backbone: `frozen.carried`.
        encoder: Of requests; None with `source` none.
        source: Where requests come from.
        texts: Makes requests of histories.
        examples: Of training; None for a model that only answers.
        folds: Backbones to learn on, each trained without the users whose row modulo their number is its place;
            by default masks learn on `backbone`. Not among the model's tensors.
    """

    def __init__(
        self,
        config: CRAMERConfig,
        backbone: Backbone,
        encoder: FrozenRequests | TunedEncoder | None,
        source: Origin,
        texts: HistoryTexts,
        examples: Examples | None,
        folds: Sequence[Backbone] = (),
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.source = source
        self.texts = texts
        self.layout = GateLayout(backbone.layers, config.scope)
        self.k = open_gates(self.layout.size, config.drop_ratio)
        self._examples = examples
        self._folds = tuple(folds)
        self._kept_G = torch.zeros(self.layout.size, dtype=torch.float64)
        self._kept_of = 0
        self._tau = config.tau_start
        self.requests = encoder
        self.basis: RequestBasis | None = None
        self._teacher: TextTeacher | None = None
        self.projection: nn.Linear | None = None
        if encoder is not None:
            if not 1 <= self.k < self.layout.size:
                raise InputError(
                    f"drop_ratio: must shut at least one of the {self.layout.size} gates and leave one open, got "
                    f"{config.drop_ratio}, which leaves {self.k} open; raise or lower it",
                    fields=("drop_ratio", "scope", "backbone"),
                )
            if config.request_components is not None:
                if config.request_components > encoder.width:
                    raise InputError(
                        f"request_components: must be at most the width of encoder {config.encoder!r}, "
                        f"{encoder.width}, got {config.request_components}",
                        fields=("request_components", "encoder"),
                    )
                self.basis = RequestBasis(encoder.width, config.request_components)
            self.projection = nn.Linear(config.request_components or encoder.width, self.layout.size)
            if config.projection_start == "zero":
                nn.init.zeros_(self.projection.weight)
            share = self.k / self.layout.size
            nn.init.constant_(self.projection.bias, float(np.log(share / (1 - share))))

    def fit_requests(self) -> None:
        """Take from the requests that there are to train on their components and a teacher, if these are wanted."""
        if self._examples is None or not isinstance(self.requests, FrozenRequests):
            return
        if self.basis is not None or self.config.text_weight:
            vectors_IW = self.requests.vectors(self._examples.requests_I)
            if self.basis is not None:
                self.basis.fit(vectors_IW)
            if self.config.text_weight:
                items_NW = self.requests.vectors(self.texts.sentences_N)
                self._teacher = TextTeacher(vectors_IW, items_NW, self.config.text_weight)

    def train(self, mode: bool = True) -> CRAMERModel:
        """The backbone stays in evaluation mode, without dropout: it is frozen."""
        super().train(mode)
        self.backbone.eval()
        return self

    def rate_factors(self) -> dict[str, float]:
        """The request encoder learns at a rate of its own."""
        if not isinstance(self.requests, TunedEncoder):
            return {}
        factor = self.config.encoder_learning_rate / self.config.learning_rate
        return {f"requests.{name}": factor for name, p in self.requests.named_parameters() if p.requires_grad}

    # Training

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Training examples in a new order, `batch_size` at a time; τ follows its course from step to step."""
        if self._examples is None or self.projection is None:
            return
        config, steps = self.config, self.num_batches()
        order = rng.permutation(len(self._examples))
        rows = [(fold, order[fold_I[order]]) for fold, fold_I in self._fold_rows()]
        starts = [
            (fold, part[i : i + config.batch_size])
            for fold, part in rows
            for i in range(0, len(part), config.batch_size)
        ]
        if self._folds:
            starts = [starts[i] for i in rng.permutation(steps)]
        for step, (fold, chosen) in enumerate(starts):
            queries, targets_B = self._examples.rows(chosen, config.max_length)
            progress = (epoch * steps + step) / max(config.epochs * steps - 1, 1)
            self._tau = temperature(progress, config.tau_start, config.tau_end, config.course)
            assert queries.requests is not None
            yield Batch(queries, targets_B, self._tau, int(rng.integers(2**63)), 0, queries.requests, fold)

    def num_batches(self) -> int:
        """Steps an epoch; the last batch may be smaller."""
        if self._examples is None or self.projection is None:
            return 0
        return sum(-(-int(rows_I.sum()) // self.config.batch_size) for _, rows_I in self._fold_rows())

    def _fold_rows(self) -> list[tuple[int | None, NDArray[np.bool_]]]:
        """Each fold, and which examples are its users'; without folds None and all."""
        assert self._examples is not None
        if not self._folds:
            return [(None, np.ones(len(self._examples), dtype=np.bool_))]
        folds_I = self._examples.users_I % len(self._folds)
        return [(fold, folds_I == fold) for fold in range(len(self._folds))]

    def loss(self, batch: Batch) -> Losses:
        """Equation 6: `next`, the cross-entropy of the next item under hard masks, and `kl`, λ_KL times A.5 by d.

        With a teacher besides `text`, the divergence from what it ranks (ours).

        In evaluation mode the gates are those of inference, without noise.
        """
        assert batch.queries.requests is not None
        own_B = slice(batch.first, batch.first + len(batch))
        if self.config.shared:
            all_BG = self.logits(batch.requests)
            choice_BG, logits_BG = all_BG.mean(0, keepdim=True), all_BG[own_B]
        else:
            choice_BG = logits_BG = self.logits(batch.queries.requests)
        noisy_BG = choice_BG.detach()
        if self.training:
            # Noise of the whole step, of which a part takes its rows: with several workers as with one.
            rows = 1 if self.config.shared else len(batch.requests)
            noise_BG = gumbel(rows, self.layout.size, batch.noise_seed, noisy_BG.device)
            noisy_BG = noisy_BG + self.config.noise * (noise_BG if self.config.shared else noise_BG[own_B])
        hard_BG = top_k_gates(noisy_BG, self.k)
        if self.config.surrogate == "softmax":
            gates_BG = straight_through(hard_BG, choice_BG, batch.tau)
        else:
            gates_BG = threshold_through(hard_BG, choice_BG, noisy_BG, batch.tau)
        backbone = self.backbone if batch.fold is None else self._folds[batch.fold]
        scores_BN = self._encoded_scores(batch.queries, gates_BG, backbone)
        targets_B = torch.from_numpy(batch.targets_B).to(scores_BN.device)
        divergence_B = prior_divergence(logits_BG, self.k / self.layout.size)
        losses = {
            "next": self.config.lambda_next * F.cross_entropy(scores_BN, targets_B),
            "kl": self.config.lambda_kl * divergence_B.mean(),
        }
        if self._teacher is not None:
            assert isinstance(self.requests, FrozenRequests)
            with torch.no_grad():
                bare_BN = self._encoded_scores(batch.queries, None, backbone)
            losses["text"] = self._teacher.divergence(scores_BN, bare_BN, self.requests.vectors(batch.queries.requests))
        return losses

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """Every worker takes a run of examples; a mask shared by the step is still that of the whole step."""
        first, stop = len(batch) * rank // workers, len(batch) * (rank + 1) // workers
        weight = (stop - first) / len(batch)
        first, stop = (first, stop) if stop > first else (0, 1)
        part = Batch(
            batch.queries.rows(first, stop), batch.targets_B[first:stop], batch.tau, batch.noise_seed, first,
            batch.requests, batch.fold,
        )  # fmt: skip
        return part, {"next": weight, "kl": weight, **({} if self._teacher is None else {"text": weight})}

    # Answering

    def scores(self, queries: Queries) -> Tensor:
        """Scores `[B, N]` of the backbone under each query's own masks, or of the bare backbone with `source` none.

        Raises:
            InputError: If something is asked of a model that was trained without requests.
            ValueError: If a history is empty, which SASRec cannot read and no request can be made of.
        """
        if self.projection is None:
            if self._examples is None and queries.requests is not None and any(map(str.strip, queries.requests)):
                raise InputError(
                    "this model reads no requests (it was trained with request=none); leave the request out"
                )
            return self.bare_scores(queries)
        source: Origin = "data" if self._examples is None and self.source != "same" else self.source
        if len(queries) and np.diff(queries.offsets).min() < 1:
            raise ValueError("CRAMER steers what follows a history, but one is empty; leave such queries out")
        return self.masked_scores(queries, self.gates(asked(queries, self.texts, source)))

    def bare_scores(self, queries: Queries) -> Tensor:
        """Scores `[B, N]` of the backbone without masks."""
        return self._encoded_scores(queries, None, self.backbone)

    def masked_scores(self, queries: Queries, gates_BG: Tensor) -> Tensor:
        """Scores `[B, N]` under gates `[B, d]`, or `[1, d]` that all queries share."""
        return self._encoded_scores(queries, gates_BG, self.backbone)

    def gates(self, requests: Sequence[str]) -> Tensor:
        """`[B, d]` gates of inference: the k largest logits of each request, without noise."""
        return self.gates_of(self._vectors(requests))

    def gates_of(self, vectors_BW: Tensor) -> Tensor:
        """`[B, d]` gates of inference for requests that are encoded already."""
        linear = self.projection
        assert linear is not None

        def exact(rows_R: Tensor) -> Tensor:
            return F.linear(vectors_BW[rows_R].double(), linear.weight.double(), linear.bias.double())

        gates_BG = settled_gates(linear(vectors_BW), self.k, exact)
        self._kept_G += gates_BG.sum(0).double().cpu()
        self._kept_of += len(gates_BG)
        return gates_BG

    def logits(self, requests: Sequence[str]) -> Tensor:
        """`z = W_proj e_q + b_proj`, `[B, d]`."""
        assert self.projection is not None
        x_BR = self._vectors(requests)
        if self.config.request_dropout:
            x_BR = F.dropout(x_BR, self.config.request_dropout, self.training)
        z_BG: Tensor = self.projection(x_BR)
        return z_BG

    def start_evaluation(self) -> None:
        """Count the gates of this round only."""
        self._kept_G.zero_()
        self._kept_of = 0

    def add_counts(self, add: Callable[[Tensor], None]) -> None:
        """Put together the gates of several workers; see `Recommender.add_counts`."""
        kept_of = torch.tensor([self._kept_of])
        add(self._kept_G)
        add(kept_of)
        self._kept_of = int(kept_of)

    def diagnostics(self) -> dict[str, float]:
        """How the masks of the last evaluation look.

        `mask/open_<map>`: share of a map's gates that were open, over all layers and requests. `mask/varied`: share of
        the gates, on average over pairs of requests, in which their masks differ; 0 if all requests give one mask.
        `mask/tau`: τ at the last step.
        """
        if self.projection is None or not self._kept_of:
            return {}
        open_G = self._kept_G / self._kept_of
        names = dict.fromkeys(part.name for part in self.layout.segments)
        found = {}
        for name in names:
            parts = [open_G[part.start : part.stop] for part in self.layout.segments if part.name == name]
            found[f"mask/open_{name}"] = float(torch.cat(parts).mean())
        return {**found, "mask/varied": float((2 * open_G * (1 - open_G)).mean()), "mask/tau": self._tau}

    def _encoded_scores(self, queries: Queries, gates_BG: Tensor | None, backbone: Backbone) -> Tensor:
        """Encode `_ROWS` queries at a time on a CPU, whose cache then holds a layer's activations; then score all."""
        total = len(queries)
        step = total if backbone.item_embedding.weight.is_cuda else _ROWS
        states = []
        for start in range(0, total, max(step, 1)):
            stop = min(start + step, total)
            masks = None
            if gates_BG is not None:
                masks = self.layout.masks(gates_BG if len(gates_BG) == 1 else gates_BG[start:stop])
            states.append(backbone.encode(queries.rows(start, stop), masks))
        return backbone.item_scores(torch.cat(states))

    def _vectors(self, requests: Sequence[str]) -> Tensor:
        """What W_proj reads: `e_q`, `[B, W]`, or its components `[B, R]`."""
        assert self.projection is not None
        weight = self.projection.weight
        if isinstance(self.requests, TunedEncoder):
            vectors_BW: Tensor = self.requests(requests)
            return vectors_BW
        assert self.requests is not None
        frozen_BW = self.requests.vectors(requests).to(weight.device)
        if self.basis is None:
            return frozen_BW
        x_BR: Tensor = self.basis(frozen_BW)
        return x_BR
