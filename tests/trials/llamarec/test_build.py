from __future__ import annotations

import string
from pathlib import Path

import pytest
import torch
from by_hand import Folder, search_data
from model_folders import USUAL, save_tokenizer
from transformers import AutoModelForCausalLM, LlamaConfig

from searchplat.contract import DataRequest, TrialJob, WarmCache
from trials.llamarec.build import _frozen
from trials.llamarec.config import LlamaRecConfig


@pytest.mark.parametrize("tied", [False, True])
def test_the_letters_are_ranked_by_the_head_that_the_model_was_trained_with(tmp_path: Path, tied: bool) -> None:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(LlamaConfig(**USUAL, tie_word_embeddings=tied)).eval()
    model.save_pretrained(tmp_path)
    save_tokenizer(tmp_path, ("<unk>", *string.ascii_uppercase[:4]))
    config = LlamaRecConfig(backbone=str(tmp_path), candidates=4, item_layers=0)
    job = TrialJob(0, config, DataRequest("toy"), 1, tmp_path, Folder(), WarmCache(), "cpu")
    words_KD = _frozen(config, search_data([[1, 2, 3]], 6), job)[2]
    torch.testing.assert_close(words_KD, model.lm_head.weight[1:5])
    assert torch.equal(words_KD, model.model.embed_tokens.weight[1:5]) == tied
