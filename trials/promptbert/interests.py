"""Short-term branch, long-term branch and their fusion with the mixture (sections 3.3 and 3.4).

Shape letters: `B` prompts, `L` places, `P` places read out of each prompt, `D` width, `M` branches, `H` heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def at_places(x_BLD: Tensor, places_BP: Tensor) -> Tensor:
    """`[B, P, D]` the states at these places of each prompt."""
    return x_BLD.gather(1, places_BP.unsqueeze(-1).expand(-1, -1, x_BLD.shape[-1]))


class ShortTerm(nn.Module):
    """A GRU, attention over its states, and a gate between the two (section 3.3.1).

    `g_t = GRU(z_t, g_{t-1})` from zeros; `s_t = Σ_j α_tj (g_j W_V)` over all tokens of the prompt;
    `γ_t = σ(W_gate [g_t; s_t])`; `ĝ_t = γ_t ⊙ g_t + (1 - γ_t) ⊙ s_t`.

    The attention has several heads with the usual scale `1 / sqrt(D / H)` and output projection, which the paper's
    equation, written for one head, leaves out.

    Args:
        width: `D`, also of the GRU.
        heads: `H`; divides `D`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.gru = nn.GRU(width, width, batch_first=True)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(2 * width, width, bias=False)

    def forward(self, z_BLD: Tensor, valid_BL: Tensor, places_BP: Tensor) -> Tensor:
        """`ĝ` at some places: `[B, P, D]`. Padding stands on the right, where a GRU's states do not look.

        Args:
            z_BLD: Output of the mixture.
            valid_BL: Whether a place holds a token.
            places_BP: Places wanted.
        """
        g_BLD = self.gru(z_BLD)[0]
        g_BPD = at_places(g_BLD, places_BP)
        s_BPD = self._attend(g_BPD, g_BLD, valid_BL[:, None, None, :])
        gamma_BPD = torch.sigmoid(self.gate(torch.cat([g_BPD, s_BPD], dim=-1)))
        mixed_BPD: Tensor = gamma_BPD * g_BPD + (1 - gamma_BPD) * s_BPD
        return mixed_BPD

    def continued(self, z_BLD: Tensor, asked_BTD: Tensor, read_BT: Tensor) -> Tensor:
        """`ĝ` at tokens each of which follows the first statements of its prompt, and no other such token: `[B, T, D]`.

        Args:
            z_BLD: Output of the mixture at the statements.
            asked_BTD: Likewise at the tokens that follow.
            read_BT: Statements before each, in [0, L].
        """
        batch, asked, width = asked_BTD.shape
        g_BLD = self.gru(z_BLD)[0] if z_BLD.shape[1] else z_BLD  # torch's GRU refuses sequences of no place
        before_BTD = at_places(F.pad(g_BLD, (0, 0, 1, 0)), read_BT)  # zeros before the first statement
        steps = (asked_BTD.reshape(-1, 1, width), before_BTD.reshape(1, -1, width).contiguous())
        g_BTD = self.gru(*steps)[0].view(batch, asked, width)
        statements_BTL = torch.arange(g_BLD.shape[1], device=g_BLD.device) < read_BT.unsqueeze(-1)
        own_BTT = torch.eye(asked, dtype=torch.bool, device=g_BLD.device).expand(batch, -1, -1)
        seen_B1TK = torch.cat([statements_BTL, own_BTT], dim=-1).unsqueeze(1)
        s_BTD = self._attend(g_BTD, torch.cat([g_BLD, g_BTD], dim=1), seen_B1TK)
        gamma_BTD = torch.sigmoid(self.gate(torch.cat([g_BTD, s_BTD], dim=-1)))
        mixed_BTD: Tensor = gamma_BTD * g_BTD + (1 - gamma_BTD) * s_BTD
        return mixed_BTD

    def _attend(self, g_BPD: Tensor, g_BLD: Tensor, seen_B1PL: Tensor) -> Tensor:
        attended_BHPC = F.scaled_dot_product_attention(
            self._split(self.query(g_BPD)),
            self._split(self.key(g_BLD)),
            self._split(self.value(g_BLD)),
            attn_mask=seen_B1PL,
        )
        result: Tensor = self.output(attended_BHPC.transpose(1, 2).flatten(2))
        return result

    def _split(self, x_BLD: Tensor) -> Tensor:
        batch, length, width = x_BLD.shape
        return x_BLD.view(batch, length, self.heads, width // self.heads).transpose(1, 2)


class Fusion(nn.Module):
    """Weighs branches place by place (section 3.4).

    `ℓ = MLP([z^1; ...; z^M])`, `α = softmax(ℓ / τ)`, `z = LayerNorm(Σ_m α^m z^m + λ z^main)`.

    Args:
        width: `D`.
        branches: `M`.
        hidden: Width within the MLP, of two layers with GELU between; the paper calls it small.
        temperature: τ > 0.
        residual: λ >= 0.
        equal: Whether branches and main branch are each normed first, by a LayerNorm of its own (ours): the experts and
            the GRU begin near zero, a thirtieth of [CLS], and would hardly be seen in the sum.
    """

    def __init__(
        self, width: int, branches: int, hidden: int, temperature: float, residual: float, *, equal: bool = False
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(branches + 1 if equal else 0))
        self.temperature = temperature
        self.residual = residual
        self.scorer = nn.Sequential(nn.Linear(branches * width, hidden), nn.GELU(), nn.Linear(hidden, branches))
        self.norm = nn.LayerNorm(width)

    def forward(self, branches: Sequence[Tensor], main_BPD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fused states `[B, P, D]` and the weights `[B, P, M]`."""
        if self.norms:
            *branches, main_BPD = (norm(z) for norm, z in zip(self.norms, [*branches, main_BPD], strict=True))
        scores_BPM = self.scorer(torch.cat(list(branches), dim=-1)).float()
        alpha_BPM = torch.softmax(scores_BPM / self.temperature, dim=-1)
        fused_BPD = torch.einsum("bpm,mbpd->bpd", alpha_BPM, torch.stack(list(branches)).float())
        return self.norm(fused_BPD + self.residual * main_BPD.float()), alpha_BPM
