"""Reading sequences on a few tokens at a time, with the keys and values of all that was read before kept.

Shape letters: `B` sequences, `L` new tokens of each, `T` tokens that are kept of each, `S` = B times L, `D` width,
`G` key/value heads, `H` query heads, `C` channels of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from trials.backbones.decoders.decoder_lm import DecoderLM


class Continuation:
    """What a decoder has read of some sequences; without gradients.

    Args:
        lm: Frozen, of an architecture in `ARCHITECTURES`; with low-rank updates or without.
        count: `B`.
        room: T: tokens that each sequence may have in all, the padding of whatever is read at once included.
    """

    def __init__(self, lm: DecoderLM, count: int, room: int) -> None:
        self._lm = lm
        self._room = room
        self._lengths_B = torch.zeros(count, dtype=torch.long, device=lm.device)
        self._kept: list[tuple[Tensor, Tensor]] = []

    def repeat(self, times: int) -> None:
        """Go on with so many copies of each sequence, which stand beside each other."""
        self._lengths_B = self._lengths_B.repeat_interleave(times)
        self._kept = [(k.repeat_interleave(times, 0), v.repeat_interleave(times, 0)) for k, v in self._kept]

    @torch.no_grad()
    def read(self, ids_BL: Tensor, counts_B: Tensor | None = None) -> Tensor:
        """Append tokens.

        Args:
            ids_BL: Padded on the right.
            counts_B: How many of them each sequence has, >= 0; None for all L.

        Returns:
            States `[B, D]` of each sequence's last new token, after the final norm; of what has none they mean nothing.
        """
        parts, (count, length) = self._lm.parts, ids_BL.shape
        steps_L = torch.arange(length, device=ids_BL.device)
        places_BL = self._lengths_B[:, None] + steps_L
        positions_S = places_BL.flatten()
        h_SD = parts.add_positions(parts.embed(ids_BL.flatten()).float(), positions_S)
        rotation = parts.rotation(positions_S)
        sequences_B1 = torch.arange(count, device=ids_BL.device)[:, None]
        # Padding is kept too, behind a sequence's end: nobody looks there before its next tokens take the place.
        filled = int(places_BL.max()) + 1
        seen_B1LT = (torch.arange(filled, device=ids_BL.device) <= places_BL[..., None])[:, None]
        for number, layer in enumerate(parts.layers):
            x_SD = layer.before_attention(h_SD)
            k_SGC, v_SGC = layer.keys_values(x_SD, rotation)
            if number == len(self._kept):
                shape = (count, self._room, *k_SGC.shape[1:])
                self._kept.append((k_SGC.new_zeros(shape), v_SGC.new_zeros(shape)))
            keys_BTGC, values_BTGC = self._kept[number]
            keys_BTGC[sequences_B1, places_BL] = k_SGC.view(count, length, *k_SGC.shape[1:])
            values_BTGC[sequences_B1, places_BL] = v_SGC.view(count, length, *v_SGC.shape[1:])
            q_SHC = layer.queries(x_SD, rotation)
            context_BHLC = F.scaled_dot_product_attention(
                q_SHC.view(count, length, *q_SHC.shape[1:]).transpose(1, 2),
                keys_BTGC[:, :filled].transpose(1, 2),
                values_BTGC[:, :filled].transpose(1, 2),
                attn_mask=seen_B1LT,
                scale=layer.scale,
                enable_gqa=q_SHC.shape[1] != k_SGC.shape[1],
            )
            h_SD = layer.after_attention(h_SD + layer.output(context_BHLC.transpose(1, 2).reshape(count * length, -1)))
            h_SD = layer.after_feed_forward(h_SD + layer.feed_forward(layer.before_feed_forward(h_SD)))
        counts_B = torch.full_like(self._lengths_B, length) if counts_B is None else counts_B
        self._lengths_B = self._lengths_B + counts_B
        last_B = (counts_B - 1).clamp(min=0)
        return parts.final_norm(h_SD.view(count, length, -1)[sequences_B1[:, 0], last_B])
