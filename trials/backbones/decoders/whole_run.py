"""Decoder-only models of any architecture, run as a whole by transformers' own code.

`parts.py` takes the layers of a few architectures apart; a method that only puts vectors in front of a
frozen model and reads states behind it (Laser) needs no parts, and so runs on whatever transformers can load.
Next: `packed_run.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from searchplat.errors import InputError
from trials.backbones.decoders.parts import DecoderParts
from trials.backbones.pretrained import NAMED_BY, reading


class WholeDecoder(DecoderParts):
    """A base model that is not taken apart: `layers` is empty, and `run` is its whole forward pass.

    Args:
        model: The base model of transformers (without the language-model head), in evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.layers = []

    def embed(self, ids_S: Tensor) -> Tensor:
        states: Tensor = self.model.get_input_embeddings()(ids_S)
        return states

    def final_norm(self, states_RD: Tensor) -> Tensor:
        return states_RD  # `run` ends with it

    def run(self, states_BTD: Tensor, valid_BT: Tensor | None) -> Tensor:
        """Last hidden states `[B, T, D]`, after the final norm.

        Args:
            states_BTD: Word embeddings, padded on the right.
            valid_BT: True at tokens; None if there is no padding.
        """
        mask = None if valid_BT is None else valid_BT.long()
        out = self.model(inputs_embeds=states_BTD, attention_mask=mask, use_cache=False)
        states: Tensor = out.last_hidden_state
        return states


@torch.no_grad()
def refuse_unless_causal(name: str, decoder: WholeDecoder, vocab_size: int) -> None:
    """Refuse a model in which a later token changes an earlier state: an encoder would read what it is to predict.

    Raises:
        InputError: If it is one, or its base model does not take embeddings.
    """
    with reading(Path(name), "its model must run on embeddings", "choose a decoder-only language model"):
        device = decoder.model.get_input_embeddings().weight.device
        states_2TD = decoder.embed(torch.tensor([[0, 1, 2, 3], [0, 1, 2, 4]], device=device) % vocab_size)
        first_TD, second_TD = decoder.run(states_2TD, None)[:, :-1]
    if not torch.allclose(first_TD.float(), second_TD.float(), rtol=1e-3, atol=1e-3):
        raise InputError(
            f"backbone {name!r}: must be a decoder, whose states depend on earlier tokens only, but a later token "
            f"changed an earlier state; choose a decoder-only language model",
            fields=NAMED_BY,
        )
