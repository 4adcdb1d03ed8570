"""The MixRec recommender: `DualModel` with the gate's load as metrics."""

from __future__ import annotations

from trials.dual.model import DualModel


class MixRecModel(DualModel):
    """MixRec and its variants; see `DualModel`."""

    def diagnostics(self) -> dict[str, float]:
        """What the gate of every DAMoE layer did with the tokens of the last evaluation.

        Returns:
            `gate/layer<k>/causal_load`: share of the tokens whose likelier expert is the causal one, in [0, 1]; the
            rest goes to the context expert. `gate/layer<k>/causal_weight`: mean β1; under a hard gate the same number.
            In the last layer only the tokens count whose states are read, one a user. Empty in variants without a gate.
        """
        found: dict[str, float] = {}
        for k, layer in enumerate(self.dalayers()):
            load, weight = layer.causal_load(), layer.causal_share()
            if load is not None and weight is not None:
                found |= {f"gate/layer{k}/causal_load": load, f"gate/layer{k}/causal_weight": weight}
        return found
