from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from by_hand import Folder
from model_folders import OPT, USUAL, save_tokenizer
from transformers import AutoModel, AutoModelForCausalLM, LlamaConfig, OPTConfig

from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import load_decoder
from trials.backbones.decoders.head import head_of


def saved(config: Any, folder: Path, kind: Any = AutoModelForCausalLM) -> Any:
    torch.manual_seed(1)
    model = kind.from_config(copy.deepcopy(config)).eval()
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return model


@pytest.mark.parametrize(
    "config", [LlamaConfig(**USUAL), LlamaConfig(**USUAL, tie_word_embeddings=True), OPTConfig(**OPT)]
)
@torch.no_grad()
def test_its_logits_are_those_of_the_causal_model(config: Any, tmp_path: Path) -> None:
    model = saved(config, tmp_path)
    head_VD = head_of(load_decoder(str(tmp_path), Folder()), Folder())
    ids = torch.randint(1, 50, (1, 7))
    decoder = getattr(model.model, "decoder", model.model)
    states = decoder(input_ids=ids, use_cache=False).last_hidden_state
    torch.testing.assert_close(states @ head_VD.T, model(input_ids=ids).logits)


def test_a_folder_without_the_head_is_refused(tmp_path: Path) -> None:
    saved(LlamaConfig(**USUAL), tmp_path, AutoModel)
    with pytest.raises(InputError, match=r"needs a head of its own, .* hold no lm_head.weight"):
        head_of(load_decoder(str(tmp_path), Folder()), Folder())


def test_a_head_narrower_than_the_layers_is_refused(tmp_path: Path) -> None:
    saved(OPTConfig(**{**OPT, "word_embed_proj_dim": 12}), tmp_path)
    with pytest.raises(InputError, match="its head must be as wide as its layers, 24, got 12"):
        head_of(load_decoder(str(tmp_path), Folder()), Folder())


def test_random_models_share_it_with_their_words() -> None:
    lm = load_decoder("random-llama", Folder(), texts=["red film"])
    assert torch.equal(head_of(lm, Folder()), lm.parts.embed(torch.arange(lm.vocab_size)))
