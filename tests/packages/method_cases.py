"""One line per case of the methods' conformance suite, and the bench on which it is run.

A new method adds a line to `CASES`: the method's name and the smallest settings that still exercise it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from torch import Tensor

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TrialJob, WarmCache
from searchplat.methods import load_method
from searchplat.spec import find_space, load
from searchplat.spec.find import shipped_spaces
from trials.data import Queries, SearchData
from trials.data.preparing.dataset import UNKNOWN_USER
from trials.nn.ragged import Ragged
from trials.training import Loop, LoopConfig, Recommender, RecommenderMethod
from trials.training.seeds import seed_everything


@dataclass(frozen=True)
class Case:
    """A method at toy size.

    Args:
        method: The entry point's name.
        values: Settings over the method's defaults.
        overfit: Further settings under which it learns eight users' sequences by heart within seconds; None
            for a method that learns nothing.
        data: Options of the data set.
    """

    method: str
    values: dict[str, Any] = field(default_factory=dict)
    overfit: dict[str, Any] | None = None
    data: dict[str, Any] = field(default_factory=dict)


def darec(backbone: str) -> Case:
    """DARec on a tiny random decoder."""
    small = {"batch_size": 8, "align_batch_size": 8, "bottleneck": 4, "cf_width": 8, "max_items": 8}
    hard = {"text_encoder": "random-bert", "hard_fraction": 0.1, "hard_mf_width": 8}
    values = {"backbone": backbone, "layout": "010-101", **small, **hard}
    return Case("darec", values, {"learning_rate": 1e-2, "epochs": 40, "lambda_align": 0.1, "schedule": "constant"})


def laser(backbone: str) -> Case:
    """Laser on a tiny random decoder, one epoch of each phase."""
    text: dict[str, Any] = {"batch_size": 8, "max_items": 8, "max_tokens": 80, "max_item_tokens": 12}
    text |= {"phase1_share": 0.5, "targets_per_user": 1}
    former = {"num_experts": 4, "top_experts": 2, "prefix_length": 3, "former_width": 16, "former_heads": 2}
    # Without early stopping: an ID-based recommender that is chosen by validation would differ by its targets.
    recommender = {"id_epochs": 2, "id_patience": None, "id_copies": 1, "id_width": 16}
    values = {"backbone": backbone, "former_layers": 2, "former_dropout": 0.0, **text, **former, **recommender}
    # Phase 2 alone learns by heart: phase 1's items are made anew after every step of so small an epoch.
    by_heart = {"epochs": 80, "phase1_share": 0.01, "batch_size": 2, "learning_rate": 5e-3}
    return Case("laser", values, {**by_heart, "targets": "last", "centre_states": True})


def llamarec(backbone: str, **more: Any) -> Case:
    """LlamaRec on a tiny random decoder; its retriever trains without early stopping, which would go by the targets."""
    prompts = {"batch_size": 8, "candidates": 6, "max_items": 4, "rank": 2, "targets_per_user": 1}
    values = {"backbone": backbone, "retriever_epochs": 5, "retriever_patience": None, "retriever_width": 16}
    # The retriever has learnt eight users by heart: what is left to learn is how far its order can be trusted.
    by_heart = {"retriever_epochs": 100, "retriever_dropout": 0.0, "retriever_batch_size": 8, "epochs": 20}
    by_heart |= {"training_candidates": "retrieved", "verbaliser": "letters", "learning_rate": 1e-2}
    return Case("llamarec", {**values, **prompts, **more}, by_heart)


def rearank(backbone: str, **more: Any) -> Case:
    """REARANK on a tiny random decoder, in two windows; its retriever as LlamaRec's."""
    like = llamarec(backbone)
    prompts = {"batch_size": 8, "num_candidates": 6, "window": 4, "step": 2, "max_items": 4, "rank": 2}
    values = {name: value for name, value in like.values.items() if name.startswith("retriever_")}
    values |= {"backbone": backbone, "targets_per_user": 1, "group_size": 4, **prompts, **more}
    assert like.overfit is not None
    # What is left to learn is how far the list can be trusted, from all of it at once.
    by_heart = {**like.overfit, "window": 6, "listing": "first", "reasoning_tokens": 0, "group_size": 16}
    return Case("rearank", values, by_heart | {"verbaliser": "titles", "learning_rate": 3e-3, "epochs": 60})


HELD_OUT: dict[str, Any] = {
    "training_candidates": "held-out",
    "verbaliser": "titles",
    "num_layers": 1,
    "item_layers": 1,
    "item_pooling": "mean",
}
"""All that is ours and not LlamaRec's paper's."""


def laser_windows(backbone: str) -> Case:
    """Laser with items read once, windows, and all that trains in the comparison."""
    like = laser(backbone)
    values = {**like.values, "targets_per_user": None, "num_layers": 1, "item_layers": 1, "item_pooling": "mean"}
    values |= {"passes": "windows", "window_stride": 4, "former_recency": True}
    values |= {"whiten_states": True, "project_states": True, "item_vectors": True, "item_bias": "popularity"}
    by_heart = {"epochs": 60, "phase1_share": 0.3, "batch_size": 2, "learning_rate": 5e-3, "temperature": 0.1}
    return Case("laser", values, by_heart)


def cramer(backbone: str, **more: Any) -> Case:
    """CRAMER on a tiny backbone, trained without early stopping, which would go by the validation targets."""
    sizes = {"hidden_size": 16, "inner_size": 32, "max_length": 12, "batch_size": 64}
    trained = {"backbone_epochs": 5, "backbone_patience": None, "backbone_learning_rate": 1e-2}
    values = {"backbone": backbone, "encoder": "random-bert", "sampled_negatives": 10, **sizes, **trained, **more}
    learnt = {"backbone_epochs": 100, "backbone_dropout": 0.0, "backbone_batch_size": 32}
    overfit = {**learnt, "learning_rate": 3e-2, "epochs": 20, "drop_ratio": 0.2}
    if more:  # nothing is learnt by heart of users whom a fold does not know
        overfit |= {"backbone_folds": 0, "request_dropout": 0.0}
    return Case("cramer", values, overfit)


CRAMERS_OPTIONS: dict[str, Any] = {
    "backbone_folds": 2,
    "backbone_item_start": "text",
    "backbone_unit_spread": 0.15,
    "request_components": 4,
    "text_weight": 4.0,
    "request_dropout": 0.1,
    "projection_start": "zero",
    "noise": 0.0,
    "surrogate": "threshold",
}
"""All that is ours and not the paper's."""


def mixrec(backbone: str, **more: Any) -> Case:
    """MixRec as DARec, with further settings."""
    like = darec(backbone)
    return Case("mixrec", {**like.values, **more}, like.overfit)


def promptbert(backbone: str, **more: Any) -> Case:
    """Prompt-BERT on a tiny random masked language model; as many experts as a prompt is sent to, so that all train."""
    prompts = {"max_tokens": 96, "max_windows": 2, "batch_size": 8, "sampled_negatives": 10}
    values = {"backbone": backbone, "experts": 2, "contrast_window": 8, "fusion_hidden": 8, **prompts, **more}
    # The sequences that it is asked for have no ratings.
    return Case("promptbert", values, {"learning_rate": 3e-3, "epochs": 60, "max_windows": 1, "unrated_share": 1.0})


SHARED: dict[str, Any] = {
    "statement_layers": 1,
    "join_statements": True,
    "centre_gate": True,
    "condition_states": "whiten",
    "residual_of": "encoder",
    "encoder_rate": 0.5,
    "contrast_window": 2,
    "max_windows": None,
}
"""Statements that are read ahead, and what makes such prompts learn."""


def llm4rec(backbone: str, **more: Any) -> Case:
    """LLM4Rec on a tiny random decoder."""
    values = {"backbone": backbone, "batch_size": 8, "max_items": 8, "max_text_tokens": 6, **more}
    by_heart = {"learning_rate": 2e-2, "epochs": 60, "pretrain_epochs": 60, "item_order": "kept", "lambda_mutual": 1e-3}
    by_heart |= {"batch_size": 4}
    return Case("llm4rec", values, by_heart)


LLM4RECS_OPTIONS: dict[str, Any] = {
    "pretrain_epochs": 2,
    "item_order": "kept",
    "item_start": "title",
    "whiten_states": True,
    "edge_attention": True,
    "content_share": 0.5,
}
"""All that is ours and not LLM4Rec's paper's."""

TINY_RECFORMER: dict[str, Any] = {"backbone": "random-bert", "batch_size": 16, "max_items": 8, "max_tokens": 64}
# Stage 2 learns by heart: stage 1's items are made anew after every few steps of so small an epoch.
RECFORMERS_HEART: dict[str, Any] = {"epochs": 60, "stage1_share": 0.01, "learning_rate": 3e-3, "targets_per_user": None}

UNMET = {"rank_met": False}
"""For models that read no order: what they know best is what a user has met."""

CASES: dict[str, Case] = {
    "popularity": Case("popularity"),
    "markov": Case("markov", {"successors": 8}),
    "itemknn": Case("itemknn", {"neighbours": 8}),
    "ease": Case("ease", {"l2": 20.0}),
    "sasrec": Case(
        "sasrec", {"hidden_size": 16, "inner_size": 32}, {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1}
    ),
    "bert4rec": Case(
        "bert4rec",
        {"hidden_size": 16, "inner_size": 32, "copies": 2, "batch_size": 32},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.0, "copies": 20},
    ),
    "cl4srec": Case(
        "cl4srec",
        {"hidden_size": 16, "inner_size": 32, "batch_size": 16},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1, "lambda_cl": 0.01},
    ),
    "fdsa": Case("fdsa", {"hidden_size": 16, "inner_size": 32}, {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1}),
    "unisrec": Case(
        "unisrec",
        {"hidden_size": 16, "inner_size": 32, "text_encoder": "random-bert", "experts": 2},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1, "adaptor_dropout": 0.0},
    ),
    "unisrec, pre-trained": Case(
        "unisrec",
        {"hidden_size": 16, "inner_size": 32, "text_encoder": "random-bert", "experts": 2, "epochs": 2}
        | {"pretrain_epochs": 1, "batch_size": 16, "item_ids": False},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1, "adaptor_dropout": 0.0, "item_ids": True},
    ),
    "recformer": Case("recformer", TINY_RECFORMER | {"stage1_share": 0.5}, RECFORMERS_HEART),
    "recformer, pre-trained": Case(
        "recformer",
        TINY_RECFORMER | {"pretrain_epochs": 1, "pooling": "mean", "attention_window": 8, "targets_per_user": 2},
        {**RECFORMERS_HEART, "attention_window": 64},
    ),
    "recguru": Case(
        "recguru",
        {"hidden_size": 16, "inner_size": 32, "discriminator_factor": 2},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1},
    ),
    "zesrec": Case(
        "zesrec",
        {"embedding_size": 16, "hidden_size": 16, "text_encoder": "random-bert"},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1, "item_precision": 0.01},
    ),
    "llmesr": Case(
        "llmesr",
        {"hidden_size": 16, "inner_size": 32, "text_encoder": "random-bert", "similar_users": 2},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1, "lambda_distill": 0.01},
    ),
    "llm4rec": llm4rec("random-gpt2", pretrain_epochs=1),
    "llm4rec, kept order": llm4rec("random-llama", **LLM4RECS_OPTIONS),
    "p5": Case(
        "p5",
        {"num_layers": 1, "hidden_size": 16, "inner_size": 32, "num_heads": 2, "max_items": 6},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.0, "batch_size": 4, "targets_per_user": None},
    ),
    "blair": Case(
        "blair",
        {"hidden_size": 16, "inner_size": 32, "text_encoder": "random-bert", "experts": 2, "tune_batch_size": 64},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1, "adaptor_dropout": 0.0},
    ),
    "blair, asked": Case(
        "blair",
        {"hidden_size": 16, "inner_size": 32, "text_encoder": "random-bert", "experts": 2, "tune_batch_size": 64}
        | {"tuned": "last", "tune_epochs": 1, "request_weight": 0.5, "item_ids": True},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1, "adaptor_dropout": 0.0, "request_weight": 0.01},
        {"requests": True},
    ),
    "queryseqrec": Case(
        "queryseqrec",
        {"hidden_size": 16, "inner_size": 32, "text_encoder": "random-bert"},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1},
    ),
    "queryseqrec, asked": Case(
        "queryseqrec",
        {"hidden_size": 16, "inner_size": 32, "text_encoder": "random-bert", "fusion": "concatenation"},
        # Whom it knows by heart ask nothing when they are asked about.
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1, "request": "history"},
        {"requests": True},
    ),
    "kar": Case(
        "kar",
        {"hidden_size": 16, "inner_size": 32, "text_encoder": "random-bert", "expert_width": 8},
        {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1},
    ),
    "gru4rec": Case(
        "gru4rec", {"embedding_size": 16, "hidden_size": 16}, {"learning_rate": 1e-2, "epochs": 60, "dropout": 0.1}
    ),
    "mf": Case("mf", {"width": 8, "batch_size": 128}, {"learning_rate": 3e-2, "epochs": 100}, UNMET),
    "ncf": Case(
        "ncf",
        {"width": 8, "hidden_size": 8, "batch_size": 128},
        {"learning_rate": 1e-2, "epochs": 150, "negatives": 4},
        UNMET,
    ),
    "darec-llama": darec("random-llama"),
    "darec-opt": darec("random-opt"),
    "darec-gpt2": darec("random-gpt2"),
    "llmrec": Case(
        "llmrec",
        {"backbone": "random-llama", "batch_size": 8, "max_items": 8},
        {"learning_rate": 1e-2, "epochs": 60, "schedule": "constant"},
    ),
    "mixrec-llama": mixrec("random-llama"),
    "mixrec-opt": mixrec("random-opt", hard_routing=True),
    "laser-llama": laser("random-llama"),
    "laser-gpt2": laser("random-gpt2"),
    "laser-windows": laser_windows("random-llama"),
    "llamarec-gpt2": llamarec("random-gpt2"),
    "llamarec-held-out": llamarec("random-llama", **HELD_OUT),
    "rearank-llama": rearank("random-llama"),
    "rearank-reasoning": rearank("random-gpt2", reasoning_tokens=3, rollout_batches=2, retriever="bert4rec"),
    "rearank-held-out": rearank("random-llama", listing="first", **HELD_OUT),
    "promptbert-bert": promptbert("random-bert"),
    "promptbert-modernbert": promptbert("random-modernbert", variant="without-short"),
    "promptbert-shared": promptbert("random-bert", **SHARED),
    "cramer-sasrec": cramer("sasrec"),
    "cramer-bert4rec": cramer("bert4rec"),
    "cramer-options": cramer("sasrec", **CRAMERS_OPTIONS),
}


class Bench:
    """Starts one case's trials on the toy data, as fresh as each test wants them.

    Args:
        case: The case.
        root: A folder for its caches; checkpoints go to the folder that `start` is told.
    """

    def __init__(self, case: Case, root: Path) -> None:
        self.case = case
        method = load_method(case.method)
        assert isinstance(method, RecommenderMethod)
        self.method = method
        self.assets = AssetStore(root)
        self.warm = WarmCache()
        self.device = "cpu"
        self.request = DataRequest("toy", case.data)
        self.config()  # a wrong line in CASES shows at once
        method.prepare(self.config(), self.request, self.assets)

    @property
    def learns(self) -> bool:
        """Whether the method has anything to learn."""
        return self.case.overfit is not None

    def config(self, **values: Any) -> LoopConfig:
        """The case's config with `values` over it."""
        return self.method.Config.model_validate({"epochs": 2 if self.learns else 1, **self.case.values, **values})

    def other_points(self, count: int) -> list[dict[str, Any]]:
        """The defaults of the method's space, if there is one, and points of it, over the case's values."""
        if self.case.method not in shipped_spaces():
            return []
        spec, rng, found = load(find_space(self.case.method), scale="smoke"), np.random.default_rng(0), []
        defaults = {name: value for name, value in spec.fixed.items() if name in spec.space}
        for values in (defaults, *(spec.space.sample(rng) for _ in range(4 * count))):
            with suppress(ValidationError):
                self.config(**values)
                found.append(values)
        return found[:count]

    def job(self, folder: Path, *, seed: int = 1, cold: bool = False, **values: Any) -> TrialJob:
        """A job of the case; `cold` forgets what earlier trials kept warm."""
        warm = WarmCache() if cold else self.warm
        return TrialJob(0, self.config(**values), self.request, seed, folder, self.assets, warm, self.device)

    def start(self, folder: Path, **options: Any) -> Loop:
        """A trial ready to train."""
        return self.method.start(self.job(folder, **options))

    def loop(self, data: SearchData, folder: Path, *, seed: int = 1, **values: Any) -> Loop:
        """A trial ready to train on data of the test's own."""
        job = self.job(folder, seed=seed, **values)
        seed_everything(seed)
        model: Recommender = self.method.build(job.config, data, job)
        assert isinstance(job.config, LoopConfig)
        return Loop(model.to(self.device), data, job.config, seed=seed, folder=folder)


def as_queries(histories: Sequence[Any], users: Sequence[int] | None = None) -> Queries:
    """Queries of these histories, of users that were not in training unless they are given."""
    rows = Ragged.of(histories)
    users_B = np.full(len(rows), UNKNOWN_USER) if users is None else np.array(users, dtype=np.int64)
    return Queries(users_B, rows.values.astype(np.int32), rows.offsets)


def with_histories(data: SearchData, histories: Sequence[Any], targets_U: Any | None = None) -> SearchData:
    """The same data with other training sequences, and other validation targets if given.

    What the data says of interactions is taken from the front of its columns: the right number of values, no more.
    """
    rows = as_queries(histories, range(len(histories)))
    targets = data.valid_target_U[: len(histories)] if targets_U is None else np.asarray(targets_U, dtype=np.int32)
    digest = f"{data.fingerprint}-{hash((rows.items.tobytes(), rows.offsets.tobytes(), targets.tobytes()))}"
    return replace(
        data,
        train_items=rows.items,
        train_offsets=rows.offsets,
        valid_target_U=targets,
        users_U=data.users_U[: len(histories)],
        fingerprint=digest,
        ratings=np.resize(data.ratings, len(rows.items) if len(data.ratings) else 0),
        valid_rating_U=data.valid_rating_U[: len(histories)],
        times=np.resize(data.times, len(rows.items) if len(data.times) else 0),
        requests=[data.requests[place % len(data.requests)] for place in range(len(rows.items))]
        if data.requests
        else (),
        valid_requests_U=data.valid_requests_U[: len(histories)],
    )


def scores(model: Recommender, queries: Queries) -> Tensor:
    """Scores `[B, N]` on the CPU as evaluation computes them."""
    import torch

    model.eval()
    with torch.inference_mode():
        model.start_evaluation()
        return model.scores(queries).float().cpu()
