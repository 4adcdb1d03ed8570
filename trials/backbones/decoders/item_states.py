"""Items read by the first layers of a frozen decoder, each by itself, once, and kept for all trials of a machine.

What the first layers make of an item's text is the same in every sequence if each item is read alone. So it is read
once, and a trial runs the later layers only, on the kept states: `read_items` gives them, and `later_layers` a decoder
whose vocabulary is no longer words but the items' tokens so read. `packed_run.py` runs it as any other.

Positions. Where a decoder has rotary positions (Llama), an item's tokens have positions of their own in the first
layers, from 1 behind the token in front of them, and the positions of the whole sequence in the later ones. Learned
positions (OPT, GPT-2) are part of a state: they are taken out of what is kept, and the decoder adds the sequence's.

Shape letters: `T` tokens of all items, `D` width, `N` items.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors.torch
import torch
from filelock import FileLock
from torch import Tensor

from searchplat.contract import AssetSource
from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.backbones.decoders.packed_run import run_first_layers
from trials.backbones.decoders.parts import DecoderParts, Rotation
from trials.backbones.decoders.whole_run import WholeDecoder
from trials.backbones.encoders.text_encoder import encoder_digest
from trials.backbones.names import RANDOM_DECODERS
from trials.data.preparing.dataset import IntArray
from trials.data.whole_files import write_atomically
from trials.nn.ragged import Ragged

FORMAT = 1
"""Raise it when the same weights, tokens and settings would give other states."""

Pooling = Literal["tokens", "last", "mean"]
"""What is kept of an item: the state of every token, of the last one, or the mean over all."""

_TOKENS = 4096
"""Tokens read at once."""


@dataclass(frozen=True)
class ItemStates:
    """States of texts, on the host; a view of the file, whose pages all processes of a machine share.

    Args:
        states_TD: Without learned positions; float32, or bfloat16 of a decoder in bfloat16. Not to be written to.
        offsets: `[N + 1]`; text i has the rows `offsets[i]:offsets[i + 1]`.
    """

    states_TD: Tensor
    offsets: IntArray


@torch.no_grad()
def read_items(lm: DecoderLM, texts: Ragged, layers: int, pooling: Pooling) -> ItemStates:
    """Read each text by itself through the first `layers` layers.

    In front of each stands the decoder's end-of-text token, if it has one, and its state is dropped: a language model
    gives the first token of whatever it reads a state that holds nothing of the text and is many times as long as the
    others (a norm of 2,700 against 210 with SmolLM2), for later tokens to look at when they look for nothing.

    Args:
        lm: Frozen, of an architecture in `ARCHITECTURES`.
        texts: Token ids of each text. One without tokens has no states.
        layers: In [1, layers of `lm` - 1]: at least one is left.
        pooling: What to keep.

    Raises:
        InputError: If `lm` is not taken apart, or `layers` leaves none.
    """
    if isinstance(lm.parts, WholeDecoder):
        raise InputError(
            f"item_layers: backbone {lm.name!r} runs as a whole, so its first layers cannot run alone; set it to 0"
        )
    if not 1 <= layers < lm.num_layers:
        raise InputError(
            f"item_layers: must be less than the {lm.num_layers} layers of {lm.name!r}, got {layers}; lower it"
        )
    front = [] if lm.end_of_sequence is None else [lm.end_of_sequence]
    lengths = texts.lengths()
    kept = lengths if pooling == "tokens" else np.minimum(lengths, 1)
    offsets = np.concatenate([[0], np.cumsum(kept)])
    bfloat16 = next(p for p in lm.parts.model.parameters() if p.dim() > 1).dtype == torch.bfloat16
    states_TD = torch.empty(int(offsets[-1]), lm.hidden_size, dtype=torch.bfloat16 if bfloat16 else torch.float32)
    # Texts of equal length together: nothing is padded.
    order = np.argsort(lengths, kind="stable")
    for length in np.unique(lengths[lengths > 0]).tolist():
        same = order[lengths[order] == length]
        size = max(1, _TOKENS // (length + len(front)))
        for chunk in np.split(same, np.arange(size, len(same), size)):
            ids = np.stack([np.concatenate([front, texts.row(i)]).astype(np.int64) for i in chunk])
            with torch.autocast(lm.device.type, torch.bfloat16, enabled=bfloat16):
                states = run_first_layers(lm, ids.ravel(), np.full(len(ids), ids.shape[1]), layers)
            states_BLD = states.float().view(*ids.shape, -1)[:, len(front) :]
            positions = torch.arange(len(front), ids.shape[1], device=lm.device)
            states_BLD = states_BLD - lm.parts.add_positions(torch.zeros_like(states_BLD[0]), positions)
            if pooling != "tokens":
                states_BLD = (states_BLD[:, -1] if pooling == "last" else states_BLD.mean(1)).unsqueeze(1)
            rows = torch.from_numpy(offsets[chunk][:, None] + np.arange(states_BLD.shape[1]))
            states_TD[rows] = states_BLD.to(states_TD.dtype).cpu()
    return ItemStates(states_TD, offsets)


def stored_item_states(lm: DecoderLM, texts: Ragged, layers: int, pooling: Pooling, assets: AssetSource) -> ItemStates:
    """As `read_items`, from the cache where these weights have read these tokens before.

    They are kept as `prepared/item-states/<digest>.safetensors`. Several processes may ask at once: one reads, the
    others wait. Files are mapped into memory, not loaded; one that is not what was written is made again.

    Raises:
        InputError: As `read_items`.
    """
    folder = assets.folder("prepared", "item-states")
    digest = _digest(lm, texts, layers, pooling, assets)
    path = folder / f"{digest}.safetensors"
    if (found := _mapped(path)) is not None:
        return found
    with FileLock(folder / f"{digest}.lock"):
        if (found := _mapped(path)) is not None:  # another process was faster
            return found
        made = read_items(lm, texts, layers, pooling)
        tensors = {"states": made.states_TD, "offsets": torch.from_numpy(made.offsets)}
        write_atomically(path, lambda file: file.write(safetensors.torch.save(tensors)))
        return _mapped(path) or made  # the file's pages, which are shared, rather than this process's own


def later_layers(lm: DecoderLM, items: ItemStates, layers: int) -> DecoderLM:
    """The decoder behind its first `layers` layers; its token ids are the rows of `items.states_TD`.

    Args:
        lm: What read the items; it loses its first layers, and with them what they hold of a device's memory.
    """
    lm.parts.forget_first(layers)
    return dataclasses.replace(lm, parts=LaterLayers(lm.parts, items.states_TD), vocab_size=len(items.states_TD))


def read_ahead(
    lm: DecoderLM, texts: Ragged, layers: int, pooling: Pooling, assets: AssetSource
) -> tuple[DecoderLM, Ragged]:
    """The decoder behind its first `layers` layers, and each text as token ids of it.

    Args:
        lm: Frozen; it loses its first layers, see `later_layers`.
        texts: Token ids of each text, of which the cache may already have the states.
        layers: As `read_items`.
        pooling: What to keep of a text.
        assets: Where the states are kept.

    Raises:
        InputError: As `read_items`.
    """
    items = stored_item_states(lm, texts, layers, pooling, assets)
    return later_layers(lm, items, layers), Ragged(np.arange(items.offsets[-1]), items.offsets)


class LaterLayers(DecoderParts):
    """The later layers of a decoder, with states of items in place of word embeddings.

    The states stay on the host and the rows of a batch go to the device: a catalogue's may be larger than what a
    trial's share of a GPU holds.

    Args:
        parts: Of the later layers alone.
        states_TD: See `ItemStates`.
    """

    def __init__(self, parts: DecoderParts, states_TD: Tensor) -> None:
        super().__init__(parts.model)
        self.layers = parts.layers
        self._parts = parts
        self._states_TD = states_TD

    def embed(self, ids_S: Tensor) -> Tensor:
        return self._states_TD[ids_S.to(self._states_TD.device)].to(ids_S.device)

    def add_positions(self, states_SD: Tensor, positions_S: Tensor) -> Tensor:
        return self._parts.add_positions(states_SD, positions_S)

    def rotation(self, positions_S: Tensor) -> Rotation | None:
        return self._parts.rotation(positions_S)

    def final_norm(self, states_RD: Tensor) -> Tensor:
        return self._parts.final_norm(states_RD)


def _digest(lm: DecoderLM, texts: Ragged, layers: int, pooling: Pooling, assets: AssetSource) -> str:
    """Names states by all that they depend on."""
    # A random decoder's weights follow from its name, its number of layers and its vocabulary.
    weights = (
        f"{lm.name} {lm.num_layers} {lm.vocab_size}" if lm.name in RANDOM_DECODERS else encoder_digest(lm.name, assets)
    )
    dtype = next(p for p in lm.parts.model.parameters() if p.dim() > 1).dtype
    total = hashlib.sha256(f"{FORMAT} {weights} {layers} {pooling} {dtype} {lm.end_of_sequence}".encode())
    for values in (texts.values, texts.offsets):
        total.update(np.ascontiguousarray(values, dtype=np.int64).tobytes())
    return total.hexdigest()[:32]


def _mapped(path: Path) -> ItemStates | None:
    """What the file holds; None if there is none, or not a whole one."""
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            return ItemStates(file.get_tensor("states"), file.get_tensor("offsets").numpy())
    except safetensors.SafetensorError:
        return None
