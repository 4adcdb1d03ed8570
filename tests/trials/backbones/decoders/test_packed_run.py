"""Packed embeddings through a frozen decoder equal transformers' own forward pass, for parts and for whole models."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import Folder
from model_folders import USUAL, save_tokenizer
from transformers import AutoModel, BertConfig, GPTNeoXConfig, MistralConfig

from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import DecoderLM, load_decoder
from trials.backbones.decoders.packed_run import run_decoder
from trials.backbones.decoders.whole_run import WholeDecoder

WHOLE = {
    "mistral": MistralConfig(**USUAL, num_key_value_heads=2, max_position_embeddings=128),
    "gpt-neox": GPTNeoXConfig(**USUAL, max_position_embeddings=128),
}
LENGTHS = np.array([7, 3, 12])


def saved(config: Any, folder: Path) -> None:
    """A random model and a tokenizer of three words."""
    torch.manual_seed(1)
    AutoModel.from_config(copy.deepcopy(config)).save_pretrained(folder)
    save_tokenizer(folder)


def check(lm: DecoderLM, backbone: Any) -> None:
    """The last two tokens of every sequence, with gradients, against each sequence by itself."""
    torch.manual_seed(0)
    states_SD = (0.3 * torch.randn(int(LENGTHS.sum()), lm.hidden_size)).requires_grad_()
    ends = np.cumsum(LENGTHS)
    read_R = (ends[:, None] + np.array([-2, -1])).ravel()
    ours_RD = run_decoder(lm, states_SD, LENGTHS, read_R, np.full(3, 2))
    pieces = states_SD.split(LENGTHS.tolist())
    theirs_RD = torch.cat(
        [backbone(inputs_embeds=piece[None], use_cache=False).last_hidden_state[0, -2:] for piece in pieces]
    )
    torch.testing.assert_close(ours_RD, theirs_RD, rtol=1e-4, atol=1e-5)
    probe = torch.randn_like(ours_RD)
    mine, reference = (torch.autograd.grad((h * probe).sum(), states_SD)[0] for h in (ours_RD, theirs_RD))
    torch.testing.assert_close(mine, reference, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["random-llama", "random-opt", "random-gpt2"])
@pytest.mark.parametrize("layers", [1, 3])
def test_parts_equal_transformers(name: str, layers: int) -> None:
    lm = load_decoder(name, Folder(), num_layers=layers, texts=["red film"])
    check(lm, lm.parts.model)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_models_equal_transformers(name: str, tmp_path: Path) -> None:
    saved(WHOLE[name], tmp_path)
    lm = load_decoder(str(tmp_path), Folder(), num_layers=2, whole=True)
    assert isinstance(lm.parts, WholeDecoder)
    assert not any(parameter.requires_grad for parameter in lm.parts.model.parameters())
    assert (lm.hidden_size, lm.max_positions) == (24, 128)
    check(lm, AutoModel.from_pretrained(tmp_path, num_hidden_layers=2, local_files_only=True).eval())


def test_whole_models_have_to_be_asked_for(tmp_path: Path) -> None:
    saved(WHOLE["mistral"], tmp_path)
    with pytest.raises(InputError, match="architecture 'mistral', supported are llama, qwen2, opt, gpt2"):
        load_decoder(str(tmp_path), Folder())


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    saved(BertConfig(**{**USUAL, "pad_token_id": 0}), tmp_path)
    with pytest.raises(InputError, match=r"must be a decoder, .* a later token changed an earlier state"):
        load_decoder(str(tmp_path), Folder(), whole=True)


def test_the_end_of_sequence_is_the_configs(tmp_path: Path) -> None:
    assert load_decoder("random-gpt2", Folder(), texts=["red"]).end_of_sequence is None
    saved(WHOLE["mistral"], tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for given, expected in ((2, 2), ([7, 2], 7)):
        (tmp_path / "config.json").write_text(json.dumps({**config, "eos_token_id": given}))
        assert load_decoder(str(tmp_path), Folder(), whole=True).end_of_sequence == expected
