"""Mean pooling, loading, and embeddings that are computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from by_hand import Folder
from model_folders import save_tokenizer
from transformers import BertConfig, BertModel

from searchplat.errors import InputError
from trials.backbones.encoders import text_encoder
from trials.backbones.encoders.text_encoder import load_text_encoder, mean_pool, text_embeddings

TEXTS = ["title red film", "title blue", "title old war book love", "title"]


def test_mean_pool_ignores_padding() -> None:
    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]], [[5.0, 6.0], [9.0, 9.0], [9.0, 9.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert mean_pool(states, mask).tolist() == [[2.0, 3.0], [5.0, 6.0]]


def test_encoding_does_not_depend_on_the_other_texts(tmp_path: Path) -> None:
    encoder = load_text_encoder("random-bert", Folder(tmp_path), texts=TEXTS)
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together.shape == (4, 32)


def test_embeddings_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Folder(tmp_path)
    first = text_embeddings("random-bert", TEXTS, disk)
    assert [path.suffix for path in (tmp_path / "prepared" / "embeddings").iterdir()] == [".npy"]
    with monkeypatch.context() as patch:
        patch.setattr(text_encoder, "load_text_encoder", None)
        np.testing.assert_array_equal(text_embeddings("random-bert", TEXTS, disk), first)
    other = text_embeddings("random-bert", TEXTS[::-1], disk)
    np.testing.assert_allclose(other, first[::-1], atol=1e-5)
    assert len(list((tmp_path / "prepared" / "embeddings").iterdir())) == 2


def test_loads_a_folder(tmp_path: Path) -> None:
    config = BertConfig(
        vocab_size=9,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=4,
    )
    torch.manual_seed(0)
    BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    save_tokenizer(tmp_path, ["[UNK]", "title", "red"], "[UNK]")
    encoder = load_text_encoder(str(tmp_path), Folder(tmp_path))
    assert encoder.tokenize(["title red film film film"]) == [[1, 2, 0, 0]]
    assert encoder.encode(TEXTS).shape == (4, 8)
    assert not encoder.model.training


def test_folder_without_weights(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="needs its weights as safetensors"):
        load_text_encoder(str(tmp_path), Folder(tmp_path))
