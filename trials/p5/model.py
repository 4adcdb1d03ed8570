"""P5 as a recommender.

Shape letters: `B` prompts, `L` their tokens, `N` items, `C` pieces of a number, `T` nodes of the tree of numbers,
`V` tokens of the vocabulary, `D` width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.data.preparing.dataset import UNKNOWN_USER, IntArray, Queries, SearchData
from trials.p5.config import P5Config
from trials.p5.prompts import (
    PAD,
    START,
    TEMPLATES,
    VOCABULARY,
    Prompts,
    item_pieces,
    longest,
    padded,
    prompt,
)
from trials.p5.transformer import Stack
from trials.training.recommender import Losses, Recommender
from trials.training.rows.grouping import grouped
from trials.training.rows.targets import TargetDrawer


@dataclass(frozen=True)
class Batch:
    """Prompts, and what is to be written.

    Args:
        prompts: B of them.
        targets_BC: Pieces of the next item's number.
    """

    prompts: Prompts
    targets_BC: IntArray


@dataclass(frozen=True)
class Tree:
    """All beginnings of items' numbers, the empty one first.

    Args:
        tokens_T: The last token of each beginning.
        depths_T: How many pieces it has.
        sees_TT: Itself and what it begins with.
        nodes_NC: What stands before each piece of an item's number.
    """

    tokens_T: IntArray
    depths_T: IntArray
    sees_TT: IntArray
    nodes_NC: IntArray


class P5Model(Recommender):
    """An encoder-decoder over words and numbers.

    Source: Geng et al., RecSys 2022: one loss, the likelihood of the target text (eq. 1); whole-word embeddings are
    added to the encoder's input (section 4.1). Differs: the sequential task alone, of prompts that generate, with
    commas between items (the authors' code also has arrows), the latest `max_items` of a history; targets are drawn
    from all training items but the first, without replacement, where that code draws five times among the last three;
    the weights are random, since T5's are not to be had here, and so the vocabulary is that of our prompts, with
    numbers in pairs of digits; all items are ranked by the exact likelihood of their numbers, where the paper lists
    the first twenty of a beam search, which may be no items; numbers are of one length, so that no end is written; in
    `sequential` indexing the numbers tell nothing of validation and test items, which come where training sequences
    name them, or last.

    Args:
        config: Settings.
        data: Whose training sequences.
    """

    pieces_NC: Tensor

    def __init__(self, config: P5Config, data: SearchData) -> None:
        super().__init__()
        rng = np.random.default_rng(0)  # the same numbers in every trial
        # Kept with the weights, which know no other numbers.
        self.register_buffer("pieces_NC", torch.from_numpy(item_pieces(data, config.indexing, rng)))
        width = config.hidden_size
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.words = nn.Embedding(longest(config.max_items), width) if config.whole_words else None
        sizes = (config.num_layers, width, config.num_heads, config.inner_size, config.dropout)
        self.encoder, self.decoder = Stack(*sizes, crosses=False), Stack(*sizes, crosses=True)
        self._config, self._data = config, data
        self._drawer = TargetDrawer(data.train_offsets, config.targets_per_user)
        self._tree: Tree | None = None

    # ------------------------------------------------------------------ training

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One pass over the users, each target under a template of its own, prompts of similar length together."""
        self._tree = None
        pieces_NC = self.pieces_NC.cpu().numpy()
        users, places = self._drawer.draw(rng)
        templates = rng.integers(len(TEMPLATES), size=len(users))
        named = np.where(rng.random(len(users)) < self._config.stranger_share, UNKNOWN_USER, users)
        starts = np.asarray(self._data.train_offsets)[users]
        shown = np.minimum(places, self._config.max_items)
        for rows in grouped(shown, self._config.batch_size, rng):
            histories = [self._data.train_items[starts[row] : starts[row] + places[row]] for row in rows]
            prompts = [
                self._prompt(int(templates[row]), int(named[row]), history, pieces_NC)
                for row, history in zip(rows, histories, strict=True)
            ]
            targets = self._data.train_items[starts[rows] + places[rows]]
            yield Batch(padded(prompts), pieces_NC[targets])

    def num_batches(self) -> int:
        """Batches an epoch; a few may be smaller."""
        return -(-len(self._drawer) // self._config.batch_size)

    def loss(self, batch: Batch) -> Losses:
        """`next`: cross-entropy of the pieces of the next item's number."""
        targets_BC = torch.from_numpy(batch.targets_BC).to(self.pieces_NC.device)
        count = targets_BC.shape[1]
        begun_BC = F.pad(targets_BC[:, :-1], (1, 0), value=START)
        sees_CC = torch.ones(count, count, dtype=torch.bool, device=targets_BC.device).tril()
        logits_BCV = self._written(batch.prompts, begun_BC, torch.arange(count, device=targets_BC.device), sees_CC)
        return {"next": F.cross_entropy(logits_BCV.flatten(0, 1), targets_BC.flatten())}

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """Every worker takes a run of prompts."""
        count = len(batch.prompts)
        first, stop = count * rank // workers, count * (rank + 1) // workers
        rows = slice(first, stop) if first < stop else slice(0, 1)
        return Batch(batch.prompts.rows(rows), batch.targets_BC[rows]), {"next": (stop - first) / count}

    # ------------------------------------------------------------------ answering

    def start_evaluation(self) -> None:
        """Lay out the tree of all numbers."""
        self._tree = tree_of(self.pieces_NC.cpu().numpy())

    def scores(self, queries: Queries) -> Tensor:
        """Log-likelihood `[B, N]` of every item's number behind the first template's prompt."""
        device, pieces_NC = self.pieces_NC.device, self.pieces_NC.cpu().numpy()
        tree = self._tree or tree_of(pieces_NC)
        prompts = padded(
            [self._prompt(0, int(queries.users_B[b]), queries.history(b), pieces_NC) for b in range(len(queries))]
        )
        tokens_T, depths_T, sees_TT, nodes_NC = (
            torch.from_numpy(array).to(device) for array in (tree.tokens_T, tree.depths_T, tree.sees_TT, tree.nodes_NC)
        )
        logits_BTV = self._written(prompts, tokens_T.expand(len(prompts), -1), depths_T, sees_TT)
        found_BTV = logits_BTV.log_softmax(-1)
        terms = [found_BTV[:, nodes_NC[:, c], self.pieces_NC[:, c]] for c in range(nodes_NC.shape[1])]
        return torch.stack(terms).sum(0)

    # ------------------------------------------------------------------ parts

    def _prompt(self, template: int, user: int, history: IntArray, pieces_NC: IntArray) -> list[list[int]]:
        return prompt(TEMPLATES[template], user, pieces_NC[history[-self._config.max_items :]].tolist())

    def _written(self, prompts: Prompts, begun_BT: Tensor, places_T: Tensor, sees_TT: Tensor) -> Tensor:
        """Logits `[B, T, V]` of what follows each token of the decoder's."""
        device = self.pieces_NC.device
        ids_BL = torch.from_numpy(prompts.ids_BL).to(device)
        there_BL = ids_BL != PAD
        x_BLD = self.tokens(ids_BL)
        if self.words is not None:
            x_BLD = x_BLD + self.words(torch.from_numpy(prompts.words_BL).to(device))
        places_L = torch.arange(ids_BL.shape[1], device=device)
        memory_BLD = self.encoder(x_BLD, places_L, there_BL[:, None, None])
        states_BTD = self.decoder(self.tokens(begun_BT), places_T, sees_TT, memory_BLD, there_BL)
        logits_BTV: Tensor = F.linear(states_BTD * states_BTD.shape[-1] ** -0.5, self.tokens.weight)
        return logits_BTV


def tree_of(pieces_NC: IntArray) -> Tree:
    """The tree of some numbers.

    >>> tree = tree_of(np.array([[10, 5], [11, 7], [10, 6]]))
    >>> tree.depths_T.tolist(), tree.nodes_NC.tolist(), tree.sees_TT.astype(int).tolist()
    ([0, 1, 1], [[0, 1], [0, 2], [0, 1]], [[1, 0, 0], [1, 1, 0], [1, 0, 1]])
    """
    tokens, depths, parents = [START], [0], [0]
    nodes = [np.zeros(len(pieces_NC), dtype=np.int64)]
    for depth in range(1, pieces_NC.shape[1]):
        begun_N2 = np.stack([nodes[-1], pieces_NC[:, depth - 1]], axis=1)
        found_X2, place_N = np.unique(begun_N2, axis=0, return_inverse=True)
        nodes.append(len(tokens) + place_N.reshape(-1))
        parents += found_X2[:, 0].tolist()
        tokens += found_X2[:, 1].tolist()
        depths += [depth] * len(found_X2)
    sees_TT = np.eye(len(tokens), dtype=bool)
    for node, parent in enumerate(parents):
        sees_TT[node] |= sees_TT[parent]
    return Tree(np.array(tokens), np.array(depths), sees_TT, np.stack(nodes, axis=1))
