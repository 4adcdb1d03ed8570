"""The DARec recommender: `DualModel` with the metrics under DARec's names."""

from __future__ import annotations

from trials.dual.model import DualModel


class DARecModel(DualModel):
    """DARec and its variants; see `DualModel`."""

    def diagnostics(self) -> dict[str, float]:
        """`router/layer<k>`: mean β1, the weight of the causal branch, in DALayer k over the last evaluation."""
        shares = [layer.causal_share() for layer in self.dalayers()]
        return {f"router/layer{k}": share for k, share in enumerate(shares) if share is not None}
