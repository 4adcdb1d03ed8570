"""Requests as vectors: encoded once where the encoder is frozen, trained in part or whole where it is not."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from searchplat.errors import InputError
from trials.backbones.encoders import request_encoder
from trials.backbones.encoders.request_encoder import FrozenRequests, TunedEncoder, last_layer, token_batch
from trials.backbones.encoders.text_encoder import TextEncoder, load_text_encoder, mean_pool

TEXTS = ["a red film", "blue", "an old war book about love and a red film", "blue"]

TINY: dict[str, Any] = {
    "vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 12,
}  # fmt: skip

FAMILIES: dict[str, Callable[[], Any]] = {
    "bert": lambda: transformers.BertModel(transformers.BertConfig(**TINY)),
    "minilm": lambda: transformers.BertModel(transformers.BertConfig(**TINY, hidden_act="gelu")),
    "roberta": lambda: transformers.RobertaModel(transformers.RobertaConfig(**TINY, pad_token_id=1)),
    "modernbert": lambda: transformers.ModernBertModel(
        transformers.ModernBertConfig(
            **TINY, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2
        )
    ),
    "deberta-v2": lambda: transformers.DebertaV2Model(
        transformers.DebertaV2Config(**TINY, relative_attention=True, pos_att_type=["p2c", "c2p"])
    ),
    "electra": lambda: transformers.ElectraModel(transformers.ElectraConfig(**TINY, embedding_size=8)),
}
"""Architectures behind the hub names that a space may give, with random weights."""


def random_encoder() -> TextEncoder:
    return load_text_encoder("random-bert", None, texts=TEXTS)  # type: ignore[arg-type]


def family(name: str) -> TextEncoder:
    torch.manual_seed(0)
    model = FAMILIES[name]().eval().requires_grad_(False)
    words = {word: 3 + n for n, word in enumerate(sorted({word for text in TEXTS for word in text.split()}))}
    return TextEncoder(name, model, lambda texts: [[words[word] for word in text.split()] for text in texts], 1, 8)


def counting(encoder: TextEncoder) -> tuple[TextEncoder, list[str]]:
    """The encoder, and what it is asked to read."""
    seen: list[str] = []

    def tokenize(texts: Any) -> list[list[int]]:
        seen.extend(texts)
        return encoder.tokenize(texts)

    return TextEncoder(encoder.name, encoder.model, tokenize, encoder.pad_id, encoder.width), seen


def test_long_requests_keep_their_first_token_and_their_end() -> None:
    encoder = TextEncoder("by-hand", None, lambda texts: [[9, 1, 2, 3, 4, 8][: len(text)] for text in texts], 0, 1)
    ids_BT, mask_BT = token_batch(encoder, ["aaaaaa", "aa"], most=4)
    assert ids_BT.tolist() == [[9, 3, 4, 8], [9, 1, 0, 0]]
    assert mask_BT.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_a_frozen_encoder_reads_no_text_twice_in_any_process(tmp_path: Path) -> None:
    encoder, seen = counting(random_encoder())
    first = FrozenRequests(encoder, 512, "cpu", tmp_path)
    vectors_BW = first.vectors(TEXTS)
    assert sorted(seen) == sorted(set(TEXTS))
    np.testing.assert_allclose(vectors_BW.numpy(), random_encoder().encode(TEXTS), atol=1e-6)
    later = FrozenRequests(encoder, 512, "cpu", tmp_path)  # as another process opens it
    later.fill([*TEXTS, "war"])
    assert seen[3:] == ["war"]
    assert torch.equal(later.vectors(TEXTS), vectors_BW)
    assert torch.equal(first.vectors(["war"]), later.vectors(["war"]))
    assert len(seen) == 4
    FrozenRequests(encoder, 3, "cpu", tmp_path).vectors(["blue"])  # another limit is another vector
    assert len(seen) == 5


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    encoder, seen = counting(random_encoder())
    requests = FrozenRequests(encoder, 512, "cpu", None)
    assert torch.equal(requests.vectors(["blue"]), requests.vectors(["blue"]))
    assert seen == ["blue"]
    assert list(tmp_path.iterdir()) == []


def test_a_vector_does_not_depend_on_what_is_asked_beside_it(tmp_path: Path) -> None:
    requests = FrozenRequests(random_encoder(), 512, "cpu", None)
    together_BW = requests.vectors(TEXTS)
    for text, vector_W in zip(TEXTS, together_BW, strict=True):
        alone = FrozenRequests(random_encoder(), 512, "cpu", None).vectors([text])[0]
        torch.testing.assert_close(alone, vector_W, rtol=1e-5, atol=1e-6)
    assert requests.vectors([]).shape == (0, 32)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_architecture_pools_its_tokens_and_trains_what_is_asked(name: str) -> None:
    encoder = family(name)
    expected = []
    for text in TEXTS:
        ids_BT, mask_BT = token_batch(encoder, [text], 512)
        with torch.no_grad():
            states = encoder.model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state
            expected.append(mean_pool(states, mask_BT)[0])
    wanted_BW = torch.stack(expected)
    torch.testing.assert_close(
        FrozenRequests(encoder, 512, "cpu", None).vectors(TEXTS), wanted_BW, rtol=1e-4, atol=1e-5
    )
    for tuned in ("last", "all"):
        made = TunedEncoder(encoder, tuned, 512).eval()  # type: ignore[arg-type]
        found_BW = made(TEXTS)
        torch.testing.assert_close(found_BW, wanted_BW, rtol=1e-4, atol=1e-5)
        (found_BW * torch.randn(found_BW.shape)).sum().backward()
        with_gradient = {key for key, p in made.named_parameters() if p.grad is not None}
        trained = {key for key, p in made.named_parameters() if p.requires_grad}
        assert with_gradient == trained != set()
        if tuned == "last":
            inside = {id(p) for p in last_layer(made.model, name).parameters()}
            assert {id(p) for p in made.parameters() if p.requires_grad} == inside
        else:
            assert len(trained) > len(inside)
    assert not any(p.requires_grad for p in encoder.model.parameters())  # the shared one is left alone


def test_dropout_is_on_in_trained_layers_only() -> None:
    made = TunedEncoder(random_encoder(), "last", 512).train()
    assert made.training
    last = {id(module) for module in last_layer(made.model, "x").modules()}
    assert {id(m) in last for m in made.model.modules() if m.training} == {True}
    assert not torch.equal(made(TEXTS), made(TEXTS))
    made.eval()
    assert torch.equal(made(TEXTS), made(TEXTS))


def test_equal_requests_of_a_batch_are_read_once() -> None:
    encoder, seen = counting(random_encoder())
    made = TunedEncoder(encoder, "all", 512).eval()
    assert made(TEXTS).shape == (4, 32)
    assert sorted(seen) == sorted(set(TEXTS))


def test_a_model_that_hides_its_layers_cannot_have_its_last_one_trained() -> None:
    model = torch.nn.Linear(2, 2)
    model.config = type("Config", (), {"num_hidden_layers": 2})()
    with pytest.raises(InputError, match=r"tuned: the layers of encoder 'flat' \(Linear\) are not a list of 2 modules"):
        last_layer(model, "flat")


def test_requests_that_are_alike_are_one_and_blank_ones_none() -> None:
    assert doctest.testmod(request_encoder).failed == 0
