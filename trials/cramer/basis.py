"""What W_proj reads of a request's vector: the first principal components of what was asked in training, whitened.

Shape letters: `B` requests, `I` training requests, `W` width of the request encoder, `R` components.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RequestBasis(nn.Module):
    """`x = P (e_q - m)`, with m and P of the training requests; persistent buffers, as W_proj is for its own P.

    Vectors of one encoder point almost the same way, so that a step on W_proj itself moves all requests' logits
    together and hardly apart; and of a few thousand requests a few dozen directions are all that can be told.
    `W_proj P (e_q - m)` is the paper's projection still, of rank R.

    Args:
        width: W.
        components: R, at most W.

    Ours; the paper's projection reads e_q.
    """

    mean_W: Tensor
    axes_WR: Tensor

    def __init__(self, width: int, components: int) -> None:
        super().__init__()
        self.register_buffer("mean_W", torch.zeros(width))
        self.register_buffer("axes_WR", torch.zeros(width, components))

    def fit(self, vectors_IW: Tensor) -> None:
        """Set m and P so that the training requests have mean 0 and unit variance in R directions, without covariance.

        With fewer directions among them than R the rest are 0.
        """
        x_IW = vectors_IW.double() - vectors_IW.double().mean(0)
        variances_W, axes_WW = torch.linalg.eigh(x_IW.T @ x_IW / max(len(x_IW), 1))  # in rising order
        largest_R = variances_W.flip(0)[: self.axes_WR.shape[1]]
        scales_R = torch.where(largest_R > 1e-9 * largest_R[0], largest_R.clamp(min=1e-30).rsqrt(), 0.0)
        self.mean_W.copy_(vectors_IW.double().mean(0))
        self.axes_WR.copy_(axes_WW.flip(1)[:, : len(largest_R)] * scales_R)

    def forward(self, vectors_BW: Tensor) -> Tensor:
        """`[B, R]`."""
        return (vectors_BW - self.mean_W) @ self.axes_WR
