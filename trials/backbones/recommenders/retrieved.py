"""What a trained recommender retrieves, for methods that rank it anew, and what their ranking is learnt from.

Shape letters: `E` examples, `B` queries, `K` candidates, `N` items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from searchplat.contract import TrialJob
from searchplat.errors import InputError
from trials.backbones.recommenders.frozen import BackboneSettings, Encoder, frozen_recommender
from trials.backbones.recommenders.settings import BackboneName, RetrieverSettings
from trials.data.preparing.dataset import UNKNOWN_USER, IntArray, Queries, SearchData
from trials.nn.ragged import Ragged
from trials.training.measures.best_items import NO_ITEM, best_items
from trials.training.rows.windows import refuse_untrainable

_AT_ONCE = 256
"""Histories that the retriever reads at once."""


@dataclass(frozen=True)
class Examples:
    """Histories, their targets, and what each target stands among.

    Args:
        histories: `[E]` items before each target, oldest first, as many as a user has.
        targets_E: The item after each.
        places_E: Where each target is among the training interactions.
        candidates_EK: Best first, each row with its target; None where they are drawn anew in every epoch.
    """

    histories: Ragged
    targets_E: IntArray
    places_E: IntArray
    candidates_EK: IntArray | None = None

    def __len__(self) -> int:
        return len(self.targets_E)


def examples_of(data: SearchData, targets_per_user: int | None) -> Examples:
    """Every user's latest targets, with all that came before each; a user's first item is none.

    Args:
        targets_per_user: None for all.
    """
    offsets = np.asarray(data.train_offsets)
    histories, places = [], []
    for first, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        earliest = first + 1 if targets_per_user is None else max(first + 1, stop - targets_per_user)
        for place in range(earliest, stop):
            histories.append(data.train_items[first:place])
            places.append(place)
    places_E = np.array(places, dtype=np.int64)
    return Examples(Ragged.of(histories), np.asarray(data.train_items)[places_E].astype(np.int64), places_E)


def among_retrieved(examples: Examples, retriever: Encoder, count: int, *, rank_met: bool) -> Examples:
    """The examples whose target is among the first `count` items that the retriever retrieves, with these.

    LlamaRec's paper examines its ranking on these. A ranking that is trained on them learns how far the retriever's
    order is to be trusted.
    """
    kept, candidates = [], []
    for start in range(0, len(examples), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(examples)))
        part = examples.histories.take(rows)
        queries = Queries(np.full(len(rows), UNKNOWN_USER), part.values, part.offsets)
        _, found = retrieve(retriever, queries, count, rank_met=rank_met)
        found_BK = found.cpu().numpy()
        there_B = (found_BK == examples.targets_E[rows, None]).any(axis=1)
        kept.append(rows[there_B])
        candidates.append(found_BK[there_B])
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *kept])
    return Examples(
        examples.histories.take(rows),
        examples.targets_E[rows],
        examples.places_E[rows],
        np.concatenate(candidates) if candidates else np.zeros((0, count), dtype=np.int64),
    )


@torch.no_grad()
def retrieve(retriever: Encoder, queries: Queries, count: int, *, rank_met: bool) -> tuple[Tensor, Tensor]:
    """The retriever's scores `[B, N]`, and the `[B, K]` items with the highest, best first.

    Args:
        count: K; `NO_ITEM` where there are fewer.
        rank_met: Whether what is in a history may be among them, as it may be among what is ranked.
    """
    scores_BN = retriever.item_scores(retriever.encode(queries))
    return scores_BN, best_items(scores_BN, count, None if rank_met else queries)[0]


@dataclass(frozen=True)
class Retrieval:
    """How a trial's retriever is trained, and what examples are made of it.

    Args:
        name: Of the recommender.
        settings: Its settings; with a `holdout`, each user's latest items are as new to it as validation's.
        seed: Of its training, which all trials of a data set share.
        count: K.
        field: The setting that it is.
    """

    name: BackboneName
    settings: BackboneSettings
    seed: int
    count: int
    field: str

    def encoder(self, data: SearchData, job: TrialJob) -> Encoder:
        """The trained retriever, frozen.

        Raises:
            InputError: If there is nothing to train it on.
        """
        refuse_untrainable(data.without_latest(self.settings.holdout))
        return frozen_recommender(self.name, self.settings, data, self.seed, job)

    def examples(self, data: SearchData, targets_per_user: int | None, job: TrialJob) -> Examples:
        """What the ranking is trained on, kept in `job.warm`.

        Raises:
            InputError: If no target is retrieved, or there is nothing to train the retriever on.
        """
        every = examples_of(data, targets_per_user)

        def find() -> Examples:
            return among_retrieved(every, self.encoder(data, job), self.count, rank_met=data.rank_met)

        depends = (self.name, self.settings.model_dump_json(), self.seed, self.count, targets_per_user)
        found = job.warm.get(("retrieved-examples", data.fingerprint, data.rank_met, job.device, *depends), find)
        if not len(found):
            raise InputError(
                f"{self.field}: the ranking needs a target among the {self.count} items that are retrieved, but of "
                f"{len(every)} targets of data {data.name!r} none is; raise {self.field} or the share of users",
                fields=(
                    self.field,
                    "training_candidates",
                    "targets_per_user",
                    "retriever",
                    *RetrieverSettings.model_fields,
                ),
            )
        return found


def with_first(scores_BN: Tensor, candidates_BK: Tensor, values_BK: Tensor) -> Tensor:
    """Scores `[B, N]` by which candidates are in the order of their values, and the rest behind them as before.

    A candidate has the lowest score of any candidate, plus how far its value is above the lowest one's.

    Args:
        scores_BN: The retriever's.
        candidates_BK: The items with the highest of these; `NO_ITEM` where there are fewer.
        values_BK: What they are ranked by, higher is better; what there is for a missing one means nothing.
    """
    there_BK = candidates_BK != NO_ITEM
    retrieved_BK = scores_BN.gather(1, candidates_BK.clamp(min=0))
    floors_B1 = retrieved_BK.masked_fill(~there_BK, torch.inf).amin(1, keepdim=True)
    lowest_B1 = values_BK.masked_fill(~there_BK, torch.inf).amin(1, keepdim=True)
    rows_BK = torch.arange(len(candidates_BK), device=candidates_BK.device)[:, None].expand_as(candidates_BK)
    ranked_BN = scores_BN.clone()
    ranked_BN[rows_BK[there_BK], candidates_BK[there_BK]] = (floors_B1 + values_BK - lowest_B1)[there_BK]
    return ranked_BN
