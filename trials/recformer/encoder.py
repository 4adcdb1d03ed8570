"""The encoder: a language model's layers over words, places, token types and item places.

Shape letters: `B` histories, `L` places, `D` width, `H` hidden words.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.encoders.masked_lm import MaskedLM
from trials.backbones.recommenders.transformer import INITIAL_STD
from trials.recformer.sentences import Sentences, Tokens


class RecFormerEncoder(nn.Module):
    """States of histories, or of single items, whose sentences stand one behind the other.

    Source: Li et al., KDD 2023, embedding layer: a token's embedding is the LayerNorm of `A + B + C + D`, of its word,
    its place, its type (`[CLS]`, key or value) and its item's place; then Longformer: a token sees those around it and
    `[CLS]`, `[CLS]` sees all. Differs: the layers are those of the backbone, which is BERT's or RoBERTa's, so that
    `[CLS]` has no projections of its own (Longformer's start as copies), and all three types start at the one type that
    the backbone knows, plus noise. Words that no sentence has are left out of the table.

    Args:
        lm: The backbone, of which this trains a copy.
        sentences: Of all items.
        window: Tokens around a token that it sees.
    """

    def __init__(self, lm: MaskedLM, sentences: Sentences, window: int) -> None:
        super().__init__()
        stack = lm.stack()
        width = lm.hidden_size
        self.half_window = window // 2
        self.words_RD = nn.Parameter(sentences.table_RD.clone())
        self.positions_PD = nn.Parameter(stack.positions_PD[: sentences.max_tokens])
        self.types_3D = nn.Parameter(stack.type_D + INITIAL_STD * torch.randn(3, width))
        self.items_KD = nn.Parameter(INITIAL_STD * torch.randn(sentences.max_items + 1, width))
        self.norm, self.dropout, self.layers = stack.norm, nn.Dropout(stack.dropout), stack.layers

    def forward(self, tokens: Tokens) -> Tensor:
        """The last layer's states `[B, L, D]`."""
        words_BL, types_BL, items_BL = (
            torch.from_numpy(array).to(self.words_RD.device)
            for array in (tokens.words_BL, tokens.types_BL, tokens.items_BL)
        )
        states_BLD: Tensor = F.embedding(words_BL, self.words_RD) + self.positions_PD[: words_BL.shape[1]]
        states_BLD = states_BLD + F.embedding(types_BL, self.types_3D) + F.embedding(items_BL, self.items_KD)
        states_BLD = self.dropout(self.norm(states_BLD))
        visible = sight(self.lengths(tokens), words_BL.shape[1], self.half_window)
        mask = torch.zeros(visible.shape, device=visible.device).masked_fill(~visible, torch.finfo(torch.float32).min)
        for layer in self.layers:
            states_BLD = layer(states_BLD, mask)
        return states_BLD

    def lengths(self, tokens: Tokens) -> Tensor:
        """Tokens of each history `[B]`, on the device of the weights."""
        return torch.from_numpy(tokens.lengths_B).to(self.words_RD.device)


def sight(lengths_B: Tensor, length: int, half_window: int) -> Tensor:
    """Which places a place sees: `[B, 1, L, L]`, or `[B, 1, 1, L]` where all see the same.

    >>> sight(torch.tensor([4]), 5, 1)[0, 0].int().tolist()
    [[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 0, 1, 1, 0], [1, 0, 0, 1, 0]]
    """
    places_L = torch.arange(length, device=lengths_B.device)
    is_token_B11L = (places_L < lengths_B[:, None])[:, None, None]
    if length <= half_window + 1:
        return is_token_B11L
    near_LL = (places_L[:, None] - places_L).abs() <= half_window
    near_LL[0], near_LL[:, 0] = True, True
    return is_token_B11L & near_LL


class HiddenWords(nn.Module):
    """Which word was hidden, from a token's state: the masked language model of pre-training.

    Differs: what stands between the states and the words' own embeddings is the backbone's head; of one without, such
    as MiniLM, nothing does.

    Args:
        lm: The backbone.
        words: R.
    """

    def __init__(self, lm: MaskedLM, words: int) -> None:
        super().__init__()
        self.transform = copy.deepcopy(lm.transform)
        self.bias_R = nn.Parameter(torch.zeros(words))

    def forward(self, states_HD: Tensor, words_RD: Tensor) -> Tensor:
        """Logits `[H, R]`."""
        if self.transform is not None:
            states_HD = self.transform(states_HD)
        return F.linear(states_HD, words_RD, self.bias_R)
