"""Text encoders of the BERT family: loading, mean pooling, and embeddings computed once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from searchplat.contract import AssetSource, TrialJob
from trials.backbones.names import RANDOM_ENCODER
from trials.backbones.pretrained import read_config, read_tokenizer, read_weights, reading, within_vocabulary
from trials.backbones.words import WordTokenizer, digest_files, digest_texts
from trials.data.preparing.dataset import SearchData
from trials.data.whole_files import write_atomically

_BATCH = 64
"""Texts encoded at once; sorted by length, so that a batch holds little padding."""


@dataclass(frozen=True)
class TextEncoder:
    """A frozen text encoder in evaluation mode.

    Args:
        name: Asset name, or `random-bert`.
        model: The transformers model; its output has `last_hidden_state [B, T, D]`.
        tokenize: Texts to token ids with the model's own special tokens, cut to its longest input.
        pad_id: Id that fills short rows.
        width: `D`.
    """

    name: str
    model: Any
    tokenize: Callable[[Sequence[str]], list[list[int]]]
    pad_id: int
    width: int

    def batch(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids and mask `[B, T]`, padded on the right; mask is 1 at tokens."""
        rows = [torch.tensor(ids, dtype=torch.long) for ids in self.tokenize(texts)]
        ids_BT = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.pad_id)
        lengths_B1 = torch.tensor([[len(row)] for row in rows])
        return ids_BT, (torch.arange(ids_BT.shape[1]) < lengths_B1).long()

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Mean-pooled vectors `[N, D]`, in the order of the texts."""
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            ids_BT, mask_BT = self.batch([texts[i] for i in chosen])
            states_BTD = self.model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
            vectors[chosen] = mean_pool(states_BTD, mask_BT).numpy()
        return vectors


def mean_pool(states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Average the states at tokens: `[B, D]`. A row without tokens gives zeros."""
    weights_BT1 = mask_BT.unsqueeze(-1).to(states_BTD.dtype)
    return (states_BTD * weights_BT1).sum(1) / weights_BT1.sum(1).clamp(min=1)


def load_text_encoder(name: str, assets: AssetSource, *, texts: Sequence[str] = ()) -> TextEncoder:
    """Load a text encoder, frozen, on the CPU.

    Args:
        name: Asset name (`minilm-l6-v2`), hub name (`google-bert/bert-base-uncased`), local folder, or
            `random-bert`.
        assets: Where weights come from.
        texts: Words for the random encoder's tokenizer.

    Raises:
        InputError: If the folder holds no safetensors weights or no tokenizer, or the model is no encoder of tokens.
        AssetError: If the weights cannot be had.
    """
    if name == RANDOM_ENCODER:
        return _random_encoder(texts)
    from transformers import AutoModel

    folder = assets.fetch(name)
    config = read_config(name, folder, None)
    # Pooling is our own. A pooler, which many checkpoints lack, is never asked.
    model, _ = read_weights(AutoModel, name, folder, config, torch.float32, ("pooler.",))
    tokenizer = read_tokenizer(name, folder)
    rule, remedy = f"text encoder {name!r} must read token ids and give hidden states", "choose an encoder as BERT is"
    with reading(folder, rule, remedy):
        longest = min(int(config.max_position_embeddings), 512)
        width, size = int(config.hidden_size), int(config.vocab_size)
        model.eval().requires_grad_(False)
        ids_1T = torch.zeros((1, longest), dtype=torch.long)
        assert model(input_ids=ids_1T, attention_mask=ids_1T + 1).last_hidden_state.shape == (1, longest, width)

    def tokenize(texts: Sequence[str]) -> list[list[int]]:
        return within_vocabulary(name, tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"], size)

    pad_id = tokenizer.pad_token_id
    # Padding is masked: any token will do where the model has none for it.
    return TextEncoder(name, model, tokenize, pad_id if pad_id is not None and pad_id < size else 0, width)


def text_embeddings(name: str, texts: Sequence[str], assets: AssetSource) -> NDArray[np.float32]:
    """Mean-pooled embeddings `[N, D]` of texts, computed once for these texts and this encoder.

    They are kept as `prepared/embeddings/<digest>.npy` in the cache; several processes may ask at once.
    """
    digest = hashlib.sha256(f"{encoder_digest(name, assets)} {digest_texts(texts)}".encode()).hexdigest()
    path = assets.folder("prepared", "embeddings") / f"{digest[:32]}.npy"
    if not path.exists():
        write_atomically(path, lambda file: np.save(file, load_text_encoder(name, assets, texts=texts).encode(texts)))
    embeddings: NDArray[np.float32] = np.load(path, allow_pickle=False)
    return embeddings


def item_texts(name: str, data: SearchData, job: TrialJob) -> NDArray[np.float32]:
    """Embeddings `[N, D]` of the sentences of all items, kept in the process for its next trials."""
    key = ("item-texts", name, data.fingerprint)
    return job.warm.get(key, lambda: text_embeddings(name, data.sentences, job.assets))


def encoder_digest(name: str, assets: AssetSource) -> str:
    """Names an encoder by the content of its files; the random one by its name, since texts make its vocabulary."""
    if name == RANDOM_ENCODER:
        return name
    folder = assets.fetch(name)
    return digest_files(
        sorted([folder / "config.json", *folder.glob("tokenizer*.json"), *folder.glob("*.safetensors")])
    )


def _random_encoder(texts: Sequence[str]) -> TextEncoder:
    from transformers import BertConfig, BertModel

    tokenizer = WordTokenizer(texts)
    config = BertConfig(
        vocab_size=tokenizer.size + 1,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertModel(config, add_pooling_layer=False).eval().requires_grad_(False)

    def tokenize(texts: Sequence[str]) -> list[list[int]]:
        return [(ids or [0])[:512] for ids in tokenizer(texts)]

    return TextEncoder(RANDOM_ENCODER, model, tokenize, tokenizer.size, 32)
