from __future__ import annotations

import pytest
from pydantic import ValidationError

from searchplat.methods import dataset_names
from trials.promptbert import PromptBERT, PromptBERTConfig


def test_defaults_are_those_of_the_paper_but_for_windows_which_are_all() -> None:
    config = PromptBERTConfig()
    assert (config.learning_rate, config.weight_decay, config.schedule, config.warmup_fraction) == (
        1e-4,
        0.01,
        "constant",
        0,
    )
    assert (config.batch_size, config.max_tokens, config.max_windows, config.stride) == (16, 512, None, 1)
    assert (config.experts, config.top_k, config.attention_heads) == (4, 2, 4)
    assert (config.sampled_negatives, config.sampled_by) == (100, "popularity")
    assert {"recall@5", "recall@10", "ndcg@5", "ndcg@10"} < set(config.metrics)


def test_a_prompt_cannot_be_sent_to_more_experts_than_there_are() -> None:
    with pytest.raises(ValidationError, match="top_k must not exceed experts, got top_k=3, experts=2"):
        PromptBERTConfig(experts=2, top_k=3)


@pytest.mark.parametrize(
    ("name", "value"), [("condition_states", "whiten"), ("join_statements", True), ("centre_gate", True)]
)
def test_what_changes_statements_that_were_read_ahead_asks_for_them(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=f"{name} must be .* without statement_layers, got .*; set statement"):
        PromptBERTConfig.model_validate({name: value})
    assert getattr(PromptBERTConfig.model_validate({name: value, "statement_layers": 1}), name) == value


def test_published_figures_are_shares_of_data_sets_that_we_have() -> None:
    assert {figure.data for figure in PromptBERT.published} <= set(dataset_names())
    assert len(PromptBERT.published) == 30
    best = {figure.data: figure.metrics["sampled/recall@5"] for figure in PromptBERT.published[-5:]}
    assert best["ml-1m"] == 0.4142
    assert all(0 < value < 1 for figure in PromptBERT.published for value in figure.metrics.values())
