"""A tiny REARANK on data made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from by_hand import Folder, search_data

from trials.backbones.decoders.candidate_prompts import Prompts, texts, tokenised
from trials.backbones.decoders.decoder_lm import load_decoder
from trials.backbones.decoders.head import head_of
from trials.backbones.recommenders.retrieved import Examples, among_retrieved, examples_of
from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.rearank import RearankConfig
from trials.rearank.model import RearankModel
from trials.rearank.policy import Policy
from trials.rearank.prompts import BETWEEN, CLOSING, REQUEST, script_of, template

HISTORIES = [[1, 2, 3, 4, 5], [1, 2], [9, 10, 11], [7]]
TITLES = [f"film {n} red" for n in range(20)]


def _retriever() -> SASRecEncoder:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_layers": 1, "num_heads": 1, "hidden_size": 8, "inner_size": 8, "dropout": 0.0}
    encoder = SASRecEncoder(20, max_length=10, **sizes).eval()
    torch.nn.init.normal_(encoder.item_embedding.weight)
    return encoder


@pytest.fixture
def make() -> Callable[..., RearankModel]:
    """A model with these settings, whose updates are off zero."""

    def made(*, examples: Examples | None = None, rank_met: bool = True, **settings: Any) -> RearankModel:
        small = {"num_candidates": 4, "window": 4, "step": 2, "max_items": 3, "rank": 2, "group_size": 3}
        config = RearankConfig(backbone="random-llama", **{**small, **settings})
        reasoning = config.reasoning_tokens > 0
        told = template(reasoning=reasoning)
        lm = load_decoder("random-llama", Folder(), texts=[*texts(told, TITLES), REQUEST, CLOSING, BETWEEN])
        script = script_of(lm.tokenize, config.window, "random-llama", reasoning=reasoning)
        head = head_of(lm, Folder())
        policy = Policy(config, lm, script, head[torch.from_numpy(script.letters_K)], head if reasoning else None)
        torch.manual_seed(1)
        for name, parameter in policy.named_parameters():
            if "up" in name or "verbaliser" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        prompts = Prompts(tokenised(lm.tokenize, told, TITLES, 8, lines=True))
        every, encoder = examples_of(search_data(HISTORIES, 20), None), _retriever()
        known = examples or among_retrieved(every, encoder, config.num_candidates, rank_met=rank_met)
        asked = [f"film {n}" for n in range(11)]
        return RearankModel(config, policy, prompts, lm.tokenize, encoder, known, asked, rank_met=rank_met).eval()

    return made
