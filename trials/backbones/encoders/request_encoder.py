"""Requests as vectors: the mean over a text encoder's last states, from a store if frozen, computed anew if tuned.

Shape letters: `B` requests, `T` tokens, `W` width of the encoder.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor, nn

from searchplat.contract import AssetSource
from searchplat.errors import InputError
from trials.backbones.encoders.text_encoder import TextEncoder, encoder_digest, mean_pool
from trials.backbones.names import RANDOM_ENCODER
from trials.backbones.words import digest_texts
from trials.data.preparing.dataset import SearchData
from trials.data.whole_files import write_atomically

Tuned = Literal["last", "all"]

_BATCH = 64
"""Texts encoded at once; sorted by length, so that a batch holds little padding."""

UNASKED = -1
"""In place of a request's row: nothing was asked."""

_ROUND = 8192
"""Texts encoded between two writings to the disk."""


def token_batch(encoder: TextEncoder, texts: Sequence[str], most: int) -> tuple[Tensor, Tensor]:
    """Ids and mask `[B, T]`; of a text of more than `most` tokens the first and the last `most - 1` stay.

    The first is [CLS] or its like; the end of a long dialogue is nearest to what is asked.
    """
    rows = [ids if len(ids) <= most else [*ids[:1], *ids[len(ids) - most + 1 :]] for ids in encoder.tokenize(texts)]
    tensors = [torch.tensor(ids, dtype=torch.long) for ids in rows]
    ids_BT = nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=encoder.pad_id)
    lengths_B1 = torch.tensor([[len(ids)] for ids in rows])
    return ids_BT, (torch.arange(ids_BT.shape[1]) < lengths_B1).long()


class TunedEncoder(nn.Module):
    """A copy of a text encoder of which the last layer or all of it is trained (φ_t, section 3.4).

    Args:
        encoder: The frozen original, which is left alone.
        tuned: `last` or `all`. Poolers, which mean pooling does not use, are never trained.
        max_tokens: Tokens read of a request.

    Raises:
        InputError: If `last` is asked for, and the model does not show its layers.
    """

    def __init__(self, encoder: TextEncoder, tuned: Tuned, max_tokens: int) -> None:
        super().__init__()
        self.model = copy.deepcopy(encoder.model)
        self.width = encoder.width
        self._encoder = encoder
        self._max_tokens = max_tokens
        self._tuned = tuned
        self._trained().requires_grad_(True)
        pooler = getattr(self.model, "pooler", None)
        if isinstance(pooler, nn.Module):
            pooler.requires_grad_(False)

    def train(self, mode: bool = True) -> TunedEncoder:
        """Dropout is on in trained layers only."""
        super().train(False)
        self._trained().train(mode)
        self.training = mode
        return self

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Vectors `[B, W]`, with a gradient in training. Equal texts are encoded once."""
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        ids_BT, mask_BT = token_batch(self._encoder, list(distinct), self._max_tokens)
        device = next(self.model.parameters()).device
        mask_BT = mask_BT.to(device)
        states_BTW = self.model(input_ids=ids_BT.to(device), attention_mask=mask_BT).last_hidden_state
        return mean_pool(states_BTW, mask_BT)[[distinct[text] for text in texts]]

    def _trained(self) -> nn.Module:
        model: nn.Module = self.model
        return model if self._tuned == "all" else last_layer(model, self._encoder.name)


def last_layer(model: nn.Module, name: str) -> nn.Module:
    """The last Transformer layer: the end of the one list of as many modules as the model's config has layers.

    Raises:
        InputError: If there is no such list.
    """
    layers = int(model.config.num_hidden_layers)  # type: ignore[union-attr,arg-type]
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == layers:
            return module[-1]
    raise InputError(
        f"tuned: the layers of encoder {name!r} ({type(model).__name__}) are not a list of {layers} modules, of which "
        "the last could be trained alone; set tuned to none or all",
        fields=("tuned", "encoder"),
    )


class FrozenRequests:
    """Vectors of requests under a frozen encoder; no text is encoded twice.

    What was encoded is kept in memory and, given a folder, on disk, where every trial and every process finds it: a
    file of digests and a file of vectors for each round of encoding. Serving gives no folder, so that what people ask
    is written nowhere.

    Args:
        encoder: In evaluation mode, on the CPU.
        max_tokens: Tokens read of a request.
        device: Where to encode.
        folder: Of this encoder and this data set; None for memory alone.
    """

    def __init__(self, encoder: TextEncoder, max_tokens: int, device: str, folder: Path | None) -> None:
        self.width = encoder.width
        self._encoder = encoder
        self._model: Any = None
        self._max_tokens = max_tokens
        self._device = device
        self._folder = folder
        self._rows: dict[bytes, NDArray[np.float32]] = {}
        self._read: set[str] = set()

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """`[B, W]` on the CPU."""
        keys = [_key(text, self._max_tokens) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._rows}
        if missing:
            self._find(missing)
        return torch.from_numpy(np.stack([self._rows[key] for key in keys])) if keys else torch.zeros(0, self.width)

    def fill(self, texts: Sequence[str]) -> None:
        """Encode what is not kept yet, a few thousand texts at a time, so that an interruption loses little."""
        distinct = list(dict.fromkeys(texts))
        for start in range(0, len(distinct), _ROUND):
            part = distinct[start : start + _ROUND]
            keyed = {_key(text, self._max_tokens): text for text in part}
            if any(key not in self._rows for key in keyed):
                self._find(keyed)

    def _find(self, missing: dict[bytes, str]) -> None:
        """Read what other processes kept meanwhile, then encode the rest; one process at a time."""
        with self._locked():
            self._refresh()
            left = {key: text for key, text in missing.items() if key not in self._rows}
            if left:
                vectors = self._encode(list(left.values()))
                self._rows.update(zip(left, vectors, strict=True))
                self._keep(list(left), vectors)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._folder is None:
            yield
        else:
            with FileLock(self._folder / ".lock"):
                yield

    def _refresh(self) -> None:
        for path in sorted(self._folder.glob("*.keys.npy")) if self._folder is not None else ():
            if path.name not in self._read:
                keys = np.load(path, allow_pickle=False)
                vectors = np.load(path.with_name(path.name.replace(".keys.", ".vectors.")), allow_pickle=False)
                self._rows.update({key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)})
                self._read.add(path.name)

    def _keep(self, keys: list[bytes], vectors: NDArray[np.float32]) -> None:
        if self._folder is None:
            return
        table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), -1)
        name = hashlib.sha256(table.tobytes()).hexdigest()[:32]
        # The digests last: where they are, the vectors are.
        write_atomically(self._folder / f"{name}.vectors.npy", lambda file: np.save(file, vectors))
        write_atomically(self._folder / f"{name}.keys.npy", lambda file: np.save(file, table))
        self._read.add(f"{name}.keys.npy")

    @torch.inference_mode()
    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        encoder, model = self._encoder, self._model
        if model is None:
            model = encoder.model if self._device == "cpu" else copy.deepcopy(encoder.model).to(self._device)
            self._model = model
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            ids_BT, mask_BT = token_batch(encoder, [texts[i] for i in chosen], self._max_tokens)
            mask_BT = mask_BT.to(self._device)
            states_BTW = model(input_ids=ids_BT.to(self._device), attention_mask=mask_BT).last_hidden_state
            vectors[chosen] = mean_pool(states_BTW, mask_BT).float().cpu().numpy()
        return vectors


def distinct(requests: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Different requests that are not blank, and the row of each request among them, `UNASKED` for a blank one.

    >>> distinct(["a", " ", "b", "a"])
    (['a', 'b'], array([ 0, -1,  1,  0]))
    """
    rows = {text: row for row, text in enumerate(dict.fromkeys(text for text in requests if text.strip()))}
    return list(rows), np.array([rows.get(text, UNASKED) for text in requests], dtype=np.int64)


def request_folder(name: str, data: SearchData, assets: AssetSource) -> Path:
    """Where vectors of an encoder for a data set are kept, whatever the share of the users."""
    digest = hashlib.sha256(encoder_digest(name, assets).encode())
    if name == RANDOM_ENCODER:  # its vocabulary is the data's
        digest.update(digest_texts(data.sentences).encode())
    return assets.folder("requests", data.name, digest.hexdigest()[:32])


def _key(text: str, max_tokens: int) -> bytes:
    return hashlib.sha256(f"{max_tokens} {text}".encode()).digest()[:16]
