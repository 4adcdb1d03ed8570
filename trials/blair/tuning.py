"""Tuning a text encoder by the contrast of what is said and what items are.

Shape letters: `B` pairs, `N` items, `M` texts, `C` items of a batch, `W` width of the encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.encoders.request_encoder import FrozenRequests, TunedEncoder
from trials.backbones.encoders.text_encoder import TextEncoder
from trials.blair.config import BLaIRConfig
from trials.blair.pairs import Ints, Pairs

Weights = dict[str, Tensor]
"""What was tuned, by name."""

_READ = 64
"""Texts that a tuned encoder reads at once when it does not learn."""


class TunableEncoder(nn.Module):
    """A text encoder of which a linear layer behind it, its last layer, or all of it is tuned.

    Args:
        encoder: The frozen original, which is left alone.
        config: What is tuned, and how much is read of a text.
        device: Where it reads.
        folder: Where the frozen encoder's vectors are kept, with `tuned: head`; None for memory alone.
    """

    def __init__(self, encoder: TextEncoder, config: BLaIRConfig, device: str, folder: Path | None) -> None:
        super().__init__()
        self.head: nn.Linear | None = None
        self._frozen: FrozenRequests | None = None
        if config.tuned == "head":
            self.head = nn.Linear(encoder.width, encoder.width)
            nn.init.eye_(self.head.weight)
            nn.init.zeros_(self.head.bias)
            self._frozen = FrozenRequests(encoder, config.max_tokens, device, folder)
        else:
            self.tuned = TunedEncoder(encoder, config.tuned, config.max_tokens)
        self.to(device)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Vectors `[M, W]`, of unit length."""
        if self.head is None:
            return F.normalize(self.tuned(texts), dim=-1)
        assert self._frozen is not None
        return F.normalize(self.head(self._frozen.vectors(texts).to(self.head.weight.device)), dim=-1)

    def fill(self, texts: Sequence[str]) -> None:
        """Encode all texts that a frozen encoder will be asked for, together: less padding, and few files."""
        if self._frozen is not None:
            self._frozen.fill(texts)

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> Tensor:
        """Vectors `[M, W]` as `forward`, a few texts at a time, without dropout."""
        self.eval()
        order = sorted(range(len(texts)), key=lambda m: len(texts[m]))  # a batch holds little padding
        parts = [self([texts[m] for m in order[i : i + _READ]]).cpu() for i in range(0, len(order), _READ)]
        return torch.cat(parts)[torch.from_numpy(np.argsort(order))]

    def weights(self) -> Weights:
        """Copies of what is tuned."""
        return {name: p.detach().cpu().clone() for name, p in self.named_parameters() if p.requires_grad}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what was tuned."""
        self.load_state_dict(dict(weights), strict=False)


def contrast(contexts_BW: Tensor, candidates_CW: Tensor, targets_B: Tensor, temperature: float) -> Tensor:
    """`-log softmax` of a context's cosine with its item over τ, among the items of the batch; the mean over contexts.

    Source: Hou et al., 2024, section 3, the contrastive part of the objective. Differs: an item that several pairs of a
    batch have is one candidate, so that no pair is told from its own item.

    Args:
        contexts_BW: Of unit length.
        candidates_CW: Different items, of unit length.
        targets_B: Place of each context's item among them.
        temperature: τ > 0.
    """
    return F.cross_entropy(contexts_BW @ candidates_CW.T / temperature, targets_B)


def tune(encoder: TunableEncoder, pairs: Pairs, sentences_N: Sequence[str], config: BLaIRConfig) -> None:
    """Train it on the pairs, in place.

    Source: Hou et al., 2024, section 3. Differs: without the masked language modelling that the paper adds with a
    weight of 0.1, as the encoders that we have come without a head for it; the pairs are those of the data that is
    recommended from; and no checkpoint is chosen by validation.
    """
    encoder.fill([*pairs.contexts, *sentences_N])
    rng = np.random.default_rng(config.tune_seed)
    optimizer = torch.optim.AdamW([p for p in encoder.parameters() if p.requires_grad], lr=config.tune_learning_rate)
    encoder.train()
    for _ in range(config.tune_epochs):
        order = rng.permutation(len(pairs))
        for start in range(0, len(order), config.tune_batch_size):
            chosen = order[start : start + config.tune_batch_size]
            contexts_BW = encoder([pairs.contexts[row] for row in pairs.contexts_I[chosen].tolist()])
            items_C, targets_B = _different(pairs.items_I[chosen])
            candidates_CW = encoder([sentences_N[item] for item in items_C.tolist()])
            loss = contrast(contexts_BW, candidates_CW, targets_B.to(contexts_BW.device), config.tune_temperature)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    encoder.eval()


def _different(items_B: Ints) -> tuple[Ints, Tensor]:
    items_C, targets_B = np.unique(items_B, return_inverse=True)
    return items_C, torch.from_numpy(targets_B)
