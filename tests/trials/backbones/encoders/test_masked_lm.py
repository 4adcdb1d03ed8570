from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from model_folders import save_tokenizer

from searchplat.errors import InputError
from trials.backbones.encoders.masked_lm import load_masked_lm
from trials.backbones.names import RANDOM_MASKED

TEXTS = ["the user watches a film .", "then what"]


class Folder:
    """An asset source of one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self, name: str) -> Path:
        return self.root


def whole(name: str, tmp_path: Path, **changes: Any) -> Any:
    """A tiny model of the architecture with its head, saved with a tokenizer, as a hub's folder is."""
    from transformers import AutoModelForMaskedLM

    from trials.backbones.encoders import masked_lm

    torch.manual_seed(3)
    model = AutoModelForMaskedLM.from_config(masked_lm._random_config(name, 3, 20)).eval()
    model.save_pretrained(tmp_path)
    words = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", *TEXTS[0].split()]
    special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", **changes}
    save_tokenizer(tmp_path, words, "[UNK]", **special)
    return model


@pytest.mark.parametrize("name", [name for name in RANDOM_MASKED if name != "random-minilm"])
def test_the_parts_together_are_the_whole_model(name: str, tmp_path: Path) -> None:
    model = whole(name, tmp_path)
    lm = load_masked_lm("some/model", Folder(tmp_path))  # type: ignore[arg-type]
    ids_BL, mask_BL = torch.randint(5, 11, (2, 7)), torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    encoder, transform = lm.copies()
    with torch.inference_mode():
        expected = model(inputs_embeds=model.get_input_embeddings()(ids_BL), attention_mask=mask_BL).logits
        states = encoder(inputs_embeds=lm.words_VD[ids_BL], attention_mask=mask_BL).last_hidden_state
        assert transform is not None
        found = transform(states) @ lm.words_VD.T + model.get_output_embeddings().bias
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1, :4], expected[1, :4], rtol=1e-4, atol=1e-5)
    assert (lm.cls_id, lm.sep_id, lm.mask_id, lm.hidden_size, lm.max_positions) == (1, 2, 3, 32, 512)
    assert lm.tokenize(["user film", ""]) == [[6, 9], []]
    assert len(list(encoder.buffers())) == len([b for m in encoder.modules() for b in m._non_persistent_buffers_set])


def test_a_sentence_encoder_has_no_head(tmp_path: Path) -> None:
    model = whole("random-bert", tmp_path)
    model.bert.save_pretrained(tmp_path)
    lm = load_masked_lm("some/model", Folder(tmp_path))  # type: ignore[arg-type]
    assert lm.transform is None
    assert torch.equal(lm.words_VD, model.get_input_embeddings().weight)


@pytest.mark.parametrize("name", ["random-bert", "random-distilbert", "random-modernbert"])
def test_the_first_layers_can_be_taken(name: str, tmp_path: Path) -> None:
    model = whole(name, tmp_path)
    assets: Any = Folder(tmp_path)
    short = load_masked_lm("some/model", assets, num_layers=1)
    x_BLD = torch.randn(1, 5, 32)
    with torch.inference_mode():
        states = model(inputs_embeds=x_BLD, attention_mask=torch.ones(1, 5), output_hidden_states=True).hidden_states
        found = short.encoder(inputs_embeds=x_BLD, attention_mask=torch.ones(1, 5)).last_hidden_state
        if name == "random-modernbert":  # it has a norm after its last layer
            states = [short.encoder.final_norm(state) for state in states]
    torch.testing.assert_close(found, states[1])
    with pytest.raises(InputError, match="backbone 'some/model' has 3 layers, got num_layers=4; ask for at most 3"):
        load_masked_lm("some/model", assets, num_layers=4)


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    assets: Any = Folder(tmp_path)
    with pytest.raises(InputError, match=r"needs a readable config.json"):
        load_masked_lm("some/model", assets)
    whole("random-bert", tmp_path, mask_token=None)
    with pytest.raises(InputError, match="needs a tokenizer with"):
        load_masked_lm("some/model", assets)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="needs its weights as safetensors"):
        load_masked_lm("some/model", assets)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(InputError, match="has the architecture 'gpt2', supported are bert, roberta"):
        load_masked_lm("some/model", assets)


@pytest.mark.parametrize("name", RANDOM_MASKED)
def test_random_models_are_equal_whenever_made_and_copies_are_apart(name: str) -> None:
    none: Any = None
    torch.manual_seed(1)
    one = load_masked_lm(name, none, texts=TEXTS)
    state = torch.get_rng_state()
    other = load_masked_lm(name, none, texts=TEXTS)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.words_VD, other.words_VD)
    assert (one.transform is None) == (name == "random-minilm")
    encoder, _ = one.copies()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    pairs = zip(one.encoder.parameters(), other.encoder.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)
    assert len({one.cls_id, one.sep_id, one.mask_id}) == 3
    assert max(one.cls_id, one.sep_id, one.mask_id) < len(one.words_VD)
