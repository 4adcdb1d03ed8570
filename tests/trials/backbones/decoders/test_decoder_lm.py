"""Our layer parts, put together again, are the transformers model itself."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from by_hand import Folder
from model_folders import GPT2, OPT, USUAL, save_tokenizer
from transformers import AutoModel, GPT2Config, LlamaConfig, OPTConfig, Qwen2Config

from searchplat.assets import AssetStore
from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import load_decoder
from trials.backbones.decoders.parts import ARCHITECTURES, DecoderParts
from trials.nn.attention import attend, causal_plan
from trials.nn.blocks import Blocks

LLAMA = {**USUAL, "num_attention_heads": 6, "num_key_value_heads": 2}
CONFIGS = {
    "llama": LlamaConfig(**LLAMA),
    "llama, no grouping, biases": LlamaConfig(
        **{**LLAMA, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4},
        attention_bias=True,
        mlp_bias=True,
        rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 100.0},
    ),
    "qwen2": Qwen2Config(**{**LLAMA, "num_hidden_layers": 2}),
    "opt, norm first": OPTConfig(**OPT),
    "opt, norm last": OPTConfig(**OPT, do_layer_norm_before=False),
    "gpt2": GPT2Config(**GPT2),
    "gpt2, scaled by layer": GPT2Config(**GPT2, scale_attn_by_inverse_layer_idx=True),
}


def random_model(config: Any) -> Any:
    torch.manual_seed(1)
    model = AutoModel.from_config(copy.deepcopy(config)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name or "ln_" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))  # biases of 0 and norms of 1 would hide mistakes
    return model


def run_parts(parts: DecoderParts, ids_S: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    positions_S = torch.cat([torch.arange(n) for n in lengths])
    plan = causal_plan(Blocks.of(torch.tensor(lengths).numpy()))
    rotation = parts.rotation(positions_S)
    h = parts.add_positions(parts.embed(ids_S), positions_S)
    for layer in parts.layers:
        x = layer.before_attention(h)
        k, v = layer.keys_values(x, rotation)
        context = attend(layer.queries(x, rotation), k, v, plan, layer.scale)
        h = layer.after_attention(h + layer.output(context))
        h = layer.after_feed_forward(h + layer.feed_forward(layer.before_feed_forward(h)))
    return parts.final_norm(h)


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_parts_equal_transformers(name: str) -> None:
    config = CONFIGS[name]
    model = random_model(config)
    parts = ARCHITECTURES[config.model_type](model)
    lengths = [7, 3, 12]
    sequences = [torch.randint(50, (n,)) for n in lengths]
    ours = run_parts(parts, torch.cat(sequences), lengths)
    theirs = torch.cat([model(input_ids=ids[None], use_cache=False).last_hidden_state[0] for ids in sequences])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_opt_with_narrow_embedding_stops_before_projecting_out() -> None:
    """OPT-350M's embedding is narrower than its layers; the layers' own width is what we hand on."""
    narrow = {**OPT, "num_hidden_layers": 2, "word_embed_proj_dim": 12}
    config = OPTConfig(**narrow, do_layer_norm_before=False)
    model = random_model(config)
    ids = torch.randint(50, (9,))
    ours = run_parts(ARCHITECTURES["opt"](model), ids, [9])
    assert ours.shape == (9, 24)
    projected = model.decoder.project_out(ours)
    theirs = model(input_ids=ids[None], use_cache=False).last_hidden_state[0]
    torch.testing.assert_close(projected, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["llama", "opt, norm first", "gpt2"])
@torch.no_grad()
def test_load_first_layers_frozen_from_safetensors(name: str, tmp_path: Path) -> None:
    model = random_model(CONFIGS[name])
    model.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    lm = load_decoder(str(tmp_path), Folder(), num_layers=2)
    assert lm.num_layers == 2
    assert not lm.parts.model.training
    assert not any(parameter.requires_grad for parameter in lm.parts.model.parameters())
    assert lm.tokenize(["red film", "film blue"]) == [[1, 2], [2, 0]]
    model.config.num_hidden_layers = 2
    decoder = getattr(model, "decoder", model)
    kept = decoder.h if hasattr(decoder, "h") else decoder.layers
    del kept[2:]
    ids = torch.randint(50, (8,))
    theirs = model(input_ids=ids[None], use_cache=False).last_hidden_state[0]
    torch.testing.assert_close(run_parts(lm.parts, ids, [8]), theirs, atol=1e-5, rtol=1e-5)


def test_head_of_a_causal_model_is_left_on_disk(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS["llama"])).eval()
    model.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    lm = load_decoder(str(tmp_path), Folder())
    expected = model.model.embed_tokens.weight
    torch.testing.assert_close(lm.parts.model.embed_tokens.weight, expected)
    assert not hasattr(lm.parts.model, "lm_head")


def test_random_decoders_are_equal_whatever_was_drawn_before() -> None:
    torch.manual_seed(3)
    first = load_decoder("random-opt", Folder(), texts=["red film"])
    state = torch.get_rng_state()
    second = load_decoder("random-opt", Folder(), texts=["red film"])
    assert torch.equal(state, torch.get_rng_state())
    for one, other in zip(first.parts.model.parameters(), second.parts.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_unsupported_architecture_names_the_supported_ones(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(InputError, match=r"architecture 'bert', supported are llama, qwen2, opt, gpt2; choose"):
        load_decoder(str(tmp_path), Folder())


def test_more_layers_than_there_are(tmp_path: Path) -> None:
    CONFIGS["llama"].save_pretrained(tmp_path)
    with pytest.raises(InputError, match="has 3 layers, got num_layers=4; ask for at most 3"):
        load_decoder(str(tmp_path), Folder(), num_layers=4)


def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path) -> None:
    CONFIGS["llama"].save_pretrained(tmp_path)
    torch.save(random_model(CONFIGS["llama"]).state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="needs its weights as safetensors"):
        load_decoder(str(tmp_path), Folder())


def test_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs a readable config\.json"):
        load_decoder(str(tmp_path), Folder())


@torch.no_grad()
def test_first_layers_of_smollm2_are_the_pretrained_ones() -> None:
    store = AssetStore()
    if not store.cached("smollm2-135m"):
        pytest.skip("smollm2-135m is not in the cache; fetch it with `searchplat assets fetch smollm2-135m`")
    lm = load_decoder("smollm2-135m", store, num_layers=2)
    assert (lm.hidden_size, lm.vocab_size, lm.num_layers) == (576, 49152, 2)
    (ids,) = lm.tokenize(["title Toy Story genres Animation"])
    model = AutoModel.from_pretrained(store.fetch("smollm2-135m"), num_hidden_layers=2, local_files_only=True).eval()
    theirs = model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
    ours = run_parts(lm.parts, torch.tensor(ids), [len(ids)])
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
