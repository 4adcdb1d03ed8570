"""Embedding-based collaborative filtering: matrix factorisation and neural collaborative filtering.

Both give every user and item a vector (what DARec injects into attention) and bring their own loss over
sampled negatives. Shape letters: `U` users, `N` items, `P` positive pairs, `K` negatives a pair, `W` width.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trials.nn.losses import binary_cross_entropy, bpr

IntArray = NDArray[np.integer[Any]]

EMBEDDING_STD = 0.01
"""Standard deviation of the embeddings at the start (He et al. 2017, section 4.1)."""

_ROUNDS = 100
"""How often a rejected negative is drawn again before it is left as it is: that user has seen almost every item."""

_FLOATS = 2**22
"""Numbers in the MLP's widest layer when all items are scored, so that memory does not grow with the catalogue."""


@dataclass(frozen=True)
class Pairs:
    """Positive pairs with sampled negatives.

    Args:
        users_P: User rows.
        items_P: Items that they interacted with.
        negatives_PK: Items that they did not.
    """

    users_P: Tensor
    items_P: Tensor
    negatives_PK: Tensor

    def to(self, device: torch.device | str) -> Pairs:
        """The same pairs on another device."""
        return Pairs(self.users_P.to(device), self.items_P.to(device), self.negatives_PK.to(device))


class CFModel(nn.Module):
    """Base of the two models. `width` is the width of a user or item vector."""

    width: int

    @abstractmethod
    def user_vectors(self, users_B: Tensor) -> Tensor:
        """`e_user`, `[B, width]`."""

    @abstractmethod
    def item_vectors(self, items_B: Tensor) -> Tensor:
        """`e_item`, `[B, width]`."""

    @abstractmethod
    def all_user_vectors(self) -> Tensor:
        """`[U, width]`."""

    @abstractmethod
    def all_item_vectors(self) -> Tensor:
        """`[N, width]`."""

    @abstractmethod
    def scores(self, users_B: Tensor, items_BK: Tensor) -> Tensor:
        """Scores `[B, K]` of K items for each user; higher is better."""

    @abstractmethod
    def all_scores(self, users_BW: Tensor) -> Tensor:
        """Scores `[B, N]` of all items for users given by their vectors."""

    @abstractmethod
    def loss(self, pairs: Pairs) -> Tensor:
        """The model's own loss, a mean."""


class MF(CFModel):
    """Matrix factorisation with item biases: `s(u, i) = e_u · e_i + b_i`, trained with BPR.

    Source: Koren et al. 2009 (the model); Rendle et al. 2009 (the loss).
    """

    def __init__(self, num_users: int, num_items: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.users = _embedding(num_users, width)
        self.items = _embedding(num_items, width)
        self.item_bias = nn.Parameter(torch.zeros(num_items))

    def user_vectors(self, users_B: Tensor) -> Tensor:
        return _rows(self.users, users_B)

    def item_vectors(self, items_B: Tensor) -> Tensor:
        return _rows(self.items, items_B)

    def all_user_vectors(self) -> Tensor:
        return self.users.weight

    def all_item_vectors(self) -> Tensor:
        return self.items.weight

    def scores(self, users_B: Tensor, items_BK: Tensor) -> Tensor:
        products_BK = torch.einsum("bw,bkw->bk", self.users(users_B), self.items(items_BK))
        return products_BK + self.item_bias[items_BK]

    def all_scores(self, users_BW: Tensor) -> Tensor:
        return users_BW @ self.items.weight.T + self.item_bias

    def loss(self, pairs: Pairs) -> Tensor:
        positive_P = self.scores(pairs.users_P, pairs.items_P.unsqueeze(1)).squeeze(1)
        return bpr(positive_P, self.scores(pairs.users_P, pairs.negatives_PK))


class NCF(CFModel):
    """Neural collaborative filtering: GMF and an MLP on embeddings of their own, fused in the last layer (NeuMF).

    `s(u, i) = w · [e_u^G ⊙ e_i^G, MLP([e_u^M, e_i^M])]`, logistic loss on sampled negatives. A user's (item's)
    vector is both of its embeddings side by side, so `width` is twice the embedding's.

    Args:
        num_users: U.
        num_items: N.
        width: Width of each of the four embeddings.
        hidden: Widths of the MLP's layers; by default `width` and `width // 2`.
        dropout: Before each of the MLP's layers, in [0, 1).

    Source: He et al., Neural Collaborative Filtering, WWW 2017, section 3.4. Differs: no separate pre-training
    of the two halves.
    """

    def __init__(
        self, num_users: int, num_items: int, width: int, hidden: Sequence[int] | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.width = 2 * width
        self.users_gmf, self.users_mlp = _embedding(num_users, width), _embedding(num_users, width)
        self.items_gmf, self.items_mlp = _embedding(num_items, width), _embedding(num_items, width)
        widths = [2 * width, *((width, width // 2) if hidden is None else hidden)]
        self.mlp = nn.Sequential(
            *(
                part
                for before, after in itertools.pairwise(widths)
                for part in (*([nn.Dropout(dropout)] if dropout else []), nn.Linear(before, after), nn.ReLU())
            )
        )
        self.head = nn.Linear(width + widths[-1], 1)

    def user_vectors(self, users_B: Tensor) -> Tensor:
        return torch.cat([_rows(self.users_gmf, users_B), _rows(self.users_mlp, users_B)], dim=-1)

    def item_vectors(self, items_B: Tensor) -> Tensor:
        return torch.cat([_rows(self.items_gmf, items_B), _rows(self.items_mlp, items_B)], dim=-1)

    def all_user_vectors(self) -> Tensor:
        return torch.cat([self.users_gmf.weight, self.users_mlp.weight], dim=-1)

    def all_item_vectors(self) -> Tensor:
        return torch.cat([self.items_gmf.weight, self.items_mlp.weight], dim=-1)

    def scores(self, users_B: Tensor, items_BK: Tensor) -> Tensor:
        gmf_BKW = self.users_gmf(users_B).unsqueeze(1) * self.items_gmf(items_BK)
        users_BKW = self.users_mlp(users_B).unsqueeze(1).expand(-1, items_BK.shape[1], -1)
        mlp_BKW = self.mlp(torch.cat([users_BKW, self.items_mlp(items_BK)], dim=-1))
        scores_BK: Tensor = self.head(torch.cat([gmf_BKW, mlp_BKW], dim=-1)).squeeze(-1)
        return scores_BK

    def all_scores(self, users_BW: Tensor) -> Tensor:
        gmf_BW, mlp_BW = users_BW.chunk(2, dim=-1)
        width = gmf_BW.shape[1]
        scores_BN = (gmf_BW * self.head.weight[0, :width]) @ self.items_gmf.weight.T + self.head.bias
        # The first layer is linear in the pair: once for every user and once for every item, and not for every pair.
        first = next(place for place, part in enumerate(self.mlp) if isinstance(part, nn.Linear))
        entry, rest = self.mlp[first], self.mlp[first + 1 :]
        assert isinstance(entry, nn.Linear)
        users_BH = mlp_BW @ entry.weight[:, :width].T + entry.bias
        items_NH = self.items_mlp.weight @ entry.weight[:, width:].T
        step = max(1, _FLOATS // max(1, users_BH.numel()))
        parts = [
            rest(users_BH[:, None] + items_NH[None, start : start + step]) @ self.head.weight[0, width:]
            for start in range(0, len(items_NH), step)
        ]
        return scores_BN + torch.cat(parts, dim=1)

    def loss(self, pairs: Pairs) -> Tensor:
        items_PC = torch.cat([pairs.items_P.unsqueeze(1), pairs.negatives_PK], dim=1)
        scores_PC = self.scores(pairs.users_P, items_PC)
        return binary_cross_entropy(scores_PC[:, 0], scores_PC[:, 1:])


class FrozenVectors(nn.Module):
    """User and item vectors of a CF model that was trained beforehand; kept in checkpoints as buffers."""

    users_UW: Tensor
    items_NW: Tensor

    def __init__(self, users_UW: Tensor, items_NW: Tensor) -> None:
        super().__init__()
        self.width = users_UW.shape[1]
        self.register_buffer("users_UW", users_UW)
        self.register_buffer("items_NW", items_NW)

    def user_vectors(self, users_B: Tensor) -> Tensor:
        """`e_user`, `[B, width]`."""
        return self.users_UW[users_B]

    def item_vectors(self, items_B: Tensor) -> Tensor:
        """`e_item`, `[B, width]`."""
        return self.items_NW[items_B]

    def all_user_vectors(self) -> Tensor:
        """`[U, width]`."""
        return self.users_UW

    def all_item_vectors(self) -> Tensor:
        """`[N, width]`."""
        return self.items_NW


def make_cf_model(name: Literal["ncf", "mf"], num_users: int, num_items: int, width: int) -> CFModel:
    """A fresh model: `ncf` or `mf`; `width` is that of one embedding."""
    return NCF(num_users, num_items, width) if name == "ncf" else MF(num_users, num_items, width)


class Interactions:
    """Training interactions as pairs, with negatives that the user never interacted with.

    Args:
        items: `[E]` items, users one after the other.
        offsets: `[U + 1]`.
        num_items: N.
    """

    def __init__(self, items: IntArray, offsets: IntArray, num_items: int) -> None:
        self.items = np.asarray(items, dtype=np.int64)
        self.offsets = np.asarray(offsets, dtype=np.int64)
        self.users = np.repeat(np.arange(len(offsets) - 1), np.diff(self.offsets))
        self.num_items = num_items
        self._seen = np.unique(self.users * num_items + self.items)

    def pairs_of(self, users: IntArray, negatives: int, rng: np.random.Generator) -> Pairs:
        """All interactions of these users, each with `negatives` sampled items."""
        lengths = self.offsets[users + 1] - self.offsets[users]
        rows = np.repeat(self.offsets[users] - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        return self._pairs(rows, negatives, rng)

    def epoch(self, batch_size: int, negatives: int, rng: np.random.Generator) -> Iterator[Pairs]:
        """All interactions once, in random order, in batches."""
        order = rng.permutation(len(self.items))
        for start in range(0, len(order), batch_size):
            yield self._pairs(order[start : start + batch_size], negatives, rng)

    def _pairs(self, rows: IntArray, negatives: int, rng: np.random.Generator) -> Pairs:
        users = self.users[rows]
        drawn = rng.integers(self.num_items, size=(len(rows), negatives))
        for _ in range(_ROUNDS):
            keys = users[:, None] * self.num_items + drawn
            found = self._seen[np.minimum(np.searchsorted(self._seen, keys), len(self._seen) - 1)] == keys
            if not found.any():
                break
            drawn[found] = rng.integers(self.num_items, size=int(found.sum()))
        return Pairs(torch.from_numpy(users), torch.from_numpy(self.items[rows]), torch.from_numpy(drawn))


def train_cf(
    model: CFModel,
    interactions: Interactions,
    *,
    epochs: int,
    learning_rate: float,
    negatives: int,
    rng: np.random.Generator,
    batch_size: int = 1024,
) -> FrozenVectors:
    """Train a CF model by itself with Adam and return its vectors, frozen.

    Source: DARec, Appendix G, "pre-trained and then frozen".
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    for _ in range(epochs):
        for pairs in interactions.epoch(batch_size, negatives, rng):
            optimizer.zero_grad(set_to_none=True)
            model.loss(pairs).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.no_grad():
        return FrozenVectors(model.all_user_vectors().clone(), model.all_item_vectors().clone())


def _embedding(rows: int, width: int) -> nn.Embedding:
    table = nn.Embedding(rows, width)
    nn.init.normal_(table.weight, std=EMBEDDING_STD)
    return table


def _rows(table: nn.Embedding, index: Tensor) -> Tensor:
    """Rows of an embedding, with the type that nn.Embedding's call does not publish."""
    rows: Tensor = table(index)
    return rows
