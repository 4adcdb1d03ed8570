"""The item projection: one linear layer from the language model's states to all items.

Shape letters: `R` states, `N` items, `D` width of the language model, `W` width of an item's vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.dual.inputs import ALIGN, SEQ
from trials.nn.whitening import whitening

WEIGHT_STD = 1e-3
"""Standard deviation of W at the start, so that the first logits are `b_item` and a little noise.

The states of a pretrained model are long (a norm of about 40 for SmolLM2): torch's default for a linear layer gives
first logits of spread 1, nearly the same for every user, and training has to undo them first.
"""

TEXT_SPREAD = 0.1
"""Length of each row of W that starts from its item's text: of a whitened state's length of about 24 (D = 576), the
item itself gets a logit of 2.4 and others a spread of 0.1."""


class ItemProjection(nn.Module):
    """`W x + b`, logits over all items, of conditioned states x = condition(h).

    At first x = h, the paper's `W_item h + b_item`. Once `centre` was called, `x = (h - m) / s`, with constants m and
    s; once `whiten` was, `x = P (h - m)`. For [SEQ] states either is the paper's layer still, with `W_item = W P` and
    `b_item = b - W P m`. The states of different users point almost the same way (cosine 0.99 for the first layers of
    SmolLM2), so a step of Adam on W_item itself moves all users' logits together, about a hundred times as far as it
    moves them apart.

    Args:
        width: D.
        bias_N: Initial b.
        dropout: Of x, in [0, 1).
        rank: W as a product of vectors `[N, rank]` and one matrix; None for a free W.
        own_vectors: Whether these are a parameter; otherwise each call brings them, of width `rank`.
        whitening: Whether P belongs to the buffers, that is to checkpoints.

    Source: DARec, sections 2.2.2 and 2.2.3; W and b are shared by both. Differs: [ALIGN] states are read less a mean of
    their own. The two means are three times as far apart as an item's state is from its mean, and with one m for both,
    L_align spends its steps on that distance and undoes b.
    """

    centre_2D: Tensor
    scale: Tensor
    whitening_DD: Tensor | None

    def __init__(
        self,
        width: int,
        bias_N: Tensor,
        *,
        dropout: float = 0.0,
        rank: int | None = None,
        own_vectors: bool = True,
        whitening: bool = False,
    ) -> None:
        super().__init__()
        self.down = None if rank is None else nn.Linear(width, rank, bias=False)
        self.linear = nn.Linear(rank or width, len(bias_N))
        nn.init.normal_(self.linear.weight, std=WEIGHT_STD if rank is None else WEIGHT_STD**0.5)
        with torch.no_grad():
            self.linear.bias.copy_(bias_N)
        if not own_vectors:
            self.linear.register_parameter("weight", None)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("centre_2D", torch.zeros(2, width))  # persistent: a checkpoint's W is for its own m and s
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("whitening_DD", torch.eye(width) if whitening else None)

    @property
    def num_items(self) -> int:
        """N."""
        return self.linear.out_features

    def centre(self, seq_RD: Tensor, align_AD: Tensor) -> None:
        """Set both m to the states' means, and s to the [SEQ] states' spread about theirs, averaged over channels."""
        self.centre_2D[SEQ] = seq_RD.mean(0)
        self.centre_2D[ALIGN] = align_AD.mean(0)
        self.scale.copy_(seq_RD.std(0).mean().clamp(min=1e-6) if len(seq_RD) > 1 else torch.ones(()))

    def whiten(self, seq_RD: Tensor, align_AD: Tensor, ridge: float) -> None:
        """Set both m to the states' means, and `P = (C + ridge tr(C) / D)^(-1/2)`, C the [SEQ] states' covariance."""
        assert self.whitening_DD is not None
        self.centre_2D[SEQ] = seq_RD.mean(0)
        self.centre_2D[ALIGN] = align_AD.mean(0)
        self.whitening_DD.copy_(whitening(seq_RD, ridge))

    @torch.no_grad()
    def start_from(self, x_ND: Tensor) -> None:
        """Let W begin at the items' conditioned states, each of length `TEXT_SPREAD`."""
        if self.down is None:
            self.linear.weight.copy_(TEXT_SPREAD * F.normalize(x_ND, dim=-1))
            return
        # The best W of this rank: its factors share the singular values evenly.
        u, s, v = torch.linalg.svd(TEXT_SPREAD * F.normalize(x_ND, dim=-1), full_matrices=False)
        rank = min(self.linear.in_features, len(s))
        self.linear.weight[:, :rank] = u[:, :rank] * s[:rank].sqrt()
        self.down.weight[:rank] = v[:rank] * s[:rank].sqrt().unsqueeze(1)

    def condition(self, h_RD: Tensor, special: int) -> Tensor:
        """What W reads of the states of one special token, `SEQ` or `ALIGN`: `[R, D]`."""
        x_RD = h_RD - self.centre_2D[special]
        return x_RD / self.scale if self.whitening_DD is None else x_RD @ self.whitening_DD

    def forward(self, h_RD: Tensor, special: int, vectors_NW: Tensor | None = None) -> Tensor:
        """Logits `[R, N]` of the states of one special token, `SEQ` or `ALIGN`.

        Args:
            h_RD: States.
            special: Which token's.
            vectors_NW: The items' vectors, where they are not the projection's own.
        """
        x_RD = self.dropout(self.condition(h_RD, special))
        if self.down is not None:
            x_RD = self.down(x_RD)
        return F.linear(x_RD, self.linear.weight if vectors_NW is None else vectors_NW, self.linear.bias)
