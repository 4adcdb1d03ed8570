"""LLM4Rec as a recommender.

Shape letters: `B` documents, `S` their tokens, `R` places that are read, `T` targets, `U` users, `N` items, `D` width.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.backbones.decoders.packed_run import run_planned
from trials.data.preparing.dataset import IntArray, Queries, SearchData
from trials.llm4rec.config import LLM4RecConfig
from trials.llm4rec.documents import Document, Documents, Packed, packed
from trials.nn.attention import Plan, causal_plan, causal_read_plan
from trials.nn.blocks import Blocks
from trials.nn.ragged import Ragged, spread
from trials.nn.whitening import whitening
from trials.training.recommender import Losses, Recommender
from trials.training.rows.grouping import chunks, grouped

_WHITEN_ON = 256
"""Users, evenly spread, whose documents' states the heads are conditioned on, and as many texts."""
_EVAL_TOKENS = 8192
"""Tokens that evaluation puts through the language model at once."""


Kind = Literal["items", "words", "held_out"]


@dataclass(frozen=True)
class Batch:
    """Documents of one kind.

    Args:
        kind: Their loss: `items` go on with item tokens, `words` with words, `held_out` names items.
        documents: B of them.
    """

    kind: Kind
    documents: Sequence[Document]


class Tokens(nn.Module):
    """A vector for every user and every item.

    Args:
        users_UD: At first.
        items_ND: At first.
    """

    def __init__(self, users_UD: Tensor, items_ND: Tensor) -> None:
        super().__init__()
        self.users_UD = nn.Parameter(users_UD)
        self.items_ND = nn.Parameter(items_ND)


class Conditioned(nn.Module):
    """`W P (h - m)`: states around their mean, whitened, and a linear layer that starts at the identity.

    Args:
        width: D.
    """

    centre_D: Tensor
    whitening_DD: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("centre_D", torch.zeros(width))
        self.register_buffer("whitening_DD", torch.eye(width))
        self.weight_DD = nn.Parameter(torch.eye(width))

    def forward(self, states_RD: Tensor) -> Tensor:
        """Of each state."""
        return F.linear((states_RD - self.centre_D) @ self.whitening_DD, self.weight_DD)

    @torch.no_grad()
    def fit(self, states_RD: Tensor, ridge: float) -> None:
        """From now on m is the mean of these and P their whitening."""
        self.centre_D.copy_(states_RD.mean(0))
        self.whitening_DD.copy_(whitening(states_RD, ridge))


class LLM4RecModel(Recommender):
    """Two tables of user and item tokens around one frozen language model: collaborative ones and those of content.

    Source: Zhu et al., WWW 2024. Pre-training alternates steps: the collaborative tokens learn to go on with a user's
    items, softmax over items; those of content to go on with texts, softmax over words; each step with λ_c / 2 times
    the squared distance of the document's tokens from the other table's, which are constants of it. Fine-tuning: the
    state behind a prompt of a user's other items, softmax over items, multinomial likelihood of what is held out. The
    head's rows are the tokens themselves. Differs: texts are items' own, see `Documents`; the two kinds of steps
    alternate (in the authors' code, epochs) from the start, with no epochs of texts alone ahead; what is shown is not
    counted among what is to be named (it is in the authors' code); one rate throughout, where the authors' code
    fine-tunes at a tenth; the prior on collaborative tokens is weight decay; the words of the softmax are those that
    occur in texts; a user who was not in training is the mean of those who were; tokens start near the backbone's
    words' mean, with their spread.

    Args:
        config: Settings.
        lm: Frozen, shared with other trials.
        words_RD: The words' embeddings.
        documents: Puts documents together.
        titles: Words of each item's title.
        data: Whose training sequences.
    """

    words_RD: Tensor
    stage: Tensor

    def __init__(
        self,
        config: LLM4RecConfig,
        lm: DecoderLM,
        words_RD: Tensor,
        documents: Documents,
        titles: Ragged,
        data: SearchData,
    ) -> None:
        super().__init__()
        self.register_buffer("words_RD", words_RD, persistent=False)
        self._config, self._lm, self._documents, self._data = config, lm, documents, data
        self.collaborative = self._tokens(titles)
        self.content = self._tokens(titles) if config.content_share else None
        self.heads: nn.ModuleDict | None = None
        if config.whiten_states:
            names = ("of_items", "of_words") if config.content_share else ("of_items",)
            self.heads = nn.ModuleDict({name: Conditioned(lm.hidden_size) for name in names})
        self.edge_weight = nn.Parameter(torch.zeros(())) if config.edge_attention else None
        # 1 once fine-tuning has begun, whose prompt is another one. Kept with the weights.
        self.register_buffer("stage", torch.tensor(0 if config.pretrain_epochs else 1))
        self._users = np.flatnonzero(np.diff(data.train_offsets) >= 2)

    # ------------------------------------------------------------------ training

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Documents of all users and documents of texts, batch by batch in turn."""
        pretrains = epoch < self._config.pretrain_epochs
        self.stage.fill_(0 if pretrains else 1)
        make = self._going_on if pretrains else self._naming
        of_users = self._grouped([make(user, rng) for user in rng.permutation(self._users).tolist()], rng)
        of_texts = self._grouped(self._texts(rng), rng)
        for users, texts in itertools.zip_longest(of_users, of_texts):
            if users is not None:
                yield Batch("items" if pretrains else "held_out", users)
            if texts is not None:
                yield Batch("words", texts)

    def num_batches(self) -> int:
        """Batches an epoch; a few may be smaller."""
        size = self._config.batch_size
        return -(-len(self._users) // size) + -(-self._num_texts() // size)

    def loss(self, batch: Batch) -> Losses:
        """The batch's `kind`, and `mutual`, what holds both tables together."""
        laid = packed(batch.documents)
        own, other = self.collaborative, self.content
        if batch.kind == "words":
            assert self.content is not None
            own, other = self.content, self.collaborative
        states_RD = self._states(laid, own)
        logits = self._logits(batch.kind, states_RD)
        targets_T = torch.from_numpy(laid.targets_T).to(logits.device)
        rows_T = torch.from_numpy(laid.row_T).to(logits.device)
        found_T = -logits.log_softmax(-1)[rows_T, targets_T]
        # A multinomial's likelihood is a product over all that is held out of a user; a text's is taken word by word.
        of = len(batch.documents) if batch.kind == "held_out" else len(found_T)
        losses: Losses = {batch.kind: found_T.sum() / of}
        if other is not None and self._config.lambda_mutual:
            distance = self._distance(laid.tokens.values, own, other) / len(batch.documents)
            losses["mutual"] = self._config.lambda_mutual / 2 * distance
        return losses

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """Every worker takes a run of documents."""
        count = len(batch.documents)
        first, stop = count * rank // workers, count * (rank + 1) // workers
        part = Batch(batch.kind, batch.documents[slice(first, stop) if first < stop else slice(0, 1)])
        of_documents = (stop - first) / count
        of_targets = _targets(part) / _targets(batch) if first < stop else 0.0
        return part, {batch.kind: of_documents if batch.kind == "held_out" else of_targets, "mutual": of_documents}

    # ------------------------------------------------------------------ answering

    def scores(self, queries: Queries) -> Tensor:
        """Logits `[B, N]` of all items behind each user's prompt, of the latest `max_items` of the history."""
        documents = [
            self._prompt(int(queries.users_B[b]), self._in_order(queries.history(b))) for b in range(len(queries))
        ]
        scores_BN = torch.empty(len(documents), len(self.collaborative.items_ND), device=self.words_RD.device)
        lengths_B = np.array([len(document.ids_L) for document in documents])
        for rows in chunks(lengths_B, _EVAL_TOKENS):
            states_RD = self._states(packed([documents[row] for row in rows]), self.collaborative)
            scores_BN[torch.from_numpy(rows).to(scores_BN.device)] = self._logits(
                "held_out" if self.stage else "items", states_RD
            )
        return scores_BN

    def _prompt(self, user: int, items_K: IntArray) -> Document:
        if self.stage:
            return self._documents.naming(user, items_K, items_K[:0])
        # Whatever stands in the place of the last item is only asked for.
        document = self._documents.going_on(user, np.append(items_K, 0))
        return Document(document.ids_L, document.reads_R[-1:], items_K[:0])

    def _in_order(self, history: IntArray) -> IntArray:
        return history[-self._config.max_items :].astype(np.int64)

    # ------------------------------------------------------------------ documents

    def _going_on(self, user: int, rng: np.random.Generator) -> Document:
        items = self._data.history(user).astype(np.int64)
        most = min(self._config.max_items + 1, len(items))
        if self._config.item_order == "shuffled":
            return self._documents.going_on(user, rng.permutation(items)[:most])
        stop = rng.integers(most, len(items) + 1)
        return self._documents.going_on(user, items[stop - most : stop])

    def _naming(self, user: int, rng: np.random.Generator) -> Document:
        items = self._data.history(user).astype(np.int64)
        count = max(1, int(self._config.holdout * len(items)))
        if self._config.item_order == "shuffled":
            items = rng.permutation(items)
            place = len(items) - count
        else:
            place = int(rng.integers(1, len(items)))
        return self._documents.naming(user, self._in_order(items[:place]), items[place : place + count])

    def _num_texts(self) -> int:
        return round(self._config.content_share * len(self._users))

    def _texts(self, rng: np.random.Generator) -> list[Document]:
        """Half are of items, each in its turn; the others of users and one of their items."""
        count, num_items = self._num_texts(), len(self.collaborative.items_ND)
        alone = np.resize(rng.permutation(num_items), count - count // 2)
        users = np.resize(rng.permutation(self._users), count // 2)
        documents = [self._documents.describing(item, None) for item in alone.tolist()]
        return documents + [
            self._documents.describing(int(rng.choice(self._data.history(user))), user) for user in users.tolist()
        ]

    def _grouped(self, documents: list[Document], rng: np.random.Generator) -> list[list[Document]]:
        """Batches of documents of similar length."""
        lengths = np.array([len(document.ids_L) for document in documents], dtype=np.int64)
        order = rng.permutation(len(documents))
        return [[documents[row] for row in rows] for rows in grouped(lengths, self._config.batch_size, rng, order)]

    # ------------------------------------------------------------------ parts

    def _tokens(self, titles: Ragged) -> Tokens:
        mean_D, spread_D = self._lm.vocabulary()
        width = len(mean_D)
        users_UD = mean_D + spread_D * torch.randn(self._documents.num_users, width)
        items_ND = mean_D + spread_D * torch.randn(len(titles), width)
        if self._config.item_start == "title":
            words = torch.from_numpy(titles.values)
            items_ND = F.embedding_bag(words, self.words_RD.cpu(), torch.from_numpy(titles.offsets[:-1]), mode="mean")
        return Tokens(users_UD, items_ND)

    def _logits(self, kind: Kind, states_RD: Tensor) -> Tensor:
        """By inner products with tokens, `[R, N]`, or with words."""
        if self.heads is not None:
            states_RD = self.heads["of_words" if kind == "words" else "of_items"](states_RD)
        return states_RD @ (self.words_RD if kind == "words" else self.collaborative.items_ND).T

    @torch.no_grad()
    def condition(self, rng: np.random.Generator) -> None:
        """Fit what stands before the heads to the states of some documents; before training."""
        assert self.heads is not None
        users = spread(self._users, _WHITEN_ON).tolist()
        make = self._going_on if self._config.pretrain_epochs else self._naming
        rows = {"of_items": [make(user, rng) for user in users]}
        if self.content is not None:
            items = spread(np.arange(len(self.collaborative.items_ND)), _WHITEN_ON).tolist()
            rows["of_words"] = [self._documents.describing(item, None) for item in items]
        for name, documents in rows.items():
            head, states_RD = self.heads[name], self._states(packed(documents), self.collaborative)
            assert isinstance(head, Conditioned)
            head.fit(states_RD, self._config.whiten_ridge)

    def _states(self, laid: Packed, tokens: Tokens) -> Tensor:
        """States `[R, D]` of the places that are read, behind the last layer and its norm."""
        device, parts = self.words_RD.device, self._lm.parts
        lengths_B = laid.tokens.lengths()
        states_SD, is_soft_S = self._embedded(laid.tokens.values, tokens)
        sequences, reads = Blocks.of(lengths_B, device), Blocks.of(laid.reads_B, device)
        rows_R = torch.from_numpy(laid.read_R).to(device)
        inner, last = causal_plan(sequences), causal_read_plan(sequences, reads, rows_R)
        if self.edge_weight is not None:
            inner, last = self._edges(
                inner, last, sequences.spread(F.normalize(states_SD, dim=-1) * is_soft_S[:, None])
            )
        starts_B = np.cumsum(lengths_B) - lengths_B
        places_S = torch.from_numpy(np.arange(len(laid.tokens.values)) - np.repeat(starts_B, lengths_B)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            return run_planned(parts, states_SD, places_S, inner, last, rows_R).float()

    def _edges(self, inner: Plan, last: Plan, units_MTD: Tensor) -> tuple[Plan, Plan]:
        """Plans that add a multiple of soft tokens' cosines, and so see nothing else than before."""
        assert self.edge_weight is not None
        bias_MTT = self.edge_weight * (units_MTD @ units_MTD.transpose(1, 2))
        width = bias_MTT.shape[-1]
        triangle_TT = torch.ones(width, width, dtype=torch.bool, device=bias_MTT.device).tril()
        assert last.mask is not None
        limits_MT = last.mask.sum(-1).squeeze(1) - 1
        read_MTT = bias_MTT.gather(1, limits_MT[:, :, None].expand(-1, -1, width))
        return (
            Plan(inner.queries, inner.keys, bias_MTT.masked_fill(~triangle_TT, -torch.inf)[:, None]),
            Plan(last.queries, last.keys, read_MTT[:, None].masked_fill(~last.mask, -torch.inf)),
        )

    def _embedded(self, ids_S: IntArray, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """Embeddings `[S, D]`, and which of them are of users and items."""
        documents, device = self._documents, self.words_RD.device
        ids = torch.from_numpy(ids_S).to(device)
        states_SD = F.embedding(ids.clamp(max=documents.num_words - 1), self.words_RD)
        users, items = self._soft(ids)
        states_SD = states_SD.index_put((users,), F.embedding(ids[users] - documents.num_words, tokens.users_UD))
        states_SD = states_SD.index_put((items,), F.embedding(ids[items] - documents.first_item, tokens.items_ND))
        if (strangers := ids == documents.stranger).any():
            states_SD = torch.where(strangers[:, None], tokens.users_UD.mean(0), states_SD)
        return states_SD, ids >= documents.num_words

    def _soft(self, ids_S: Tensor) -> tuple[Tensor, Tensor]:
        """Places of users and of items."""
        documents = self._documents
        is_user_S = (ids_S >= documents.num_words) & (ids_S < documents.first_item)
        is_item_S = (ids_S >= documents.first_item) & (ids_S < documents.stranger)
        return is_user_S.nonzero().squeeze(1), is_item_S.nonzero().squeeze(1)

    def _distance(self, ids_S: IntArray, own: Tokens, other: Tokens) -> Tensor:
        """Squared distances of the tokens from the other table's, which get no gradient, summed."""
        ids = torch.from_numpy(ids_S).to(self.words_RD.device)
        users, items = (ids[places] for places in self._soft(ids))
        pairs = (
            (users - self._documents.num_words, own.users_UD, other.users_UD),
            (items - self._documents.first_item, own.items_ND, other.items_ND),
        )
        return torch.stack(
            [(F.embedding(rows, one) - F.embedding(rows, two.detach())).square().sum() for rows, one, two in pairs]
        ).sum()


def _targets(batch: Batch) -> int:
    return sum(len(document.targets_T) for document in batch.documents)
