"""The encoder, the losses and the stages against references written otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from method_cases import as_queries
from pydantic import ValidationError
from torch.nn import functional as F

from trials.backbones.encoders.masked_lm import load_masked_lm
from trials.data.preparing.dataset import SearchData
from trials.recformer import RecFormerConfig
from trials.recformer.batches import hide
from trials.recformer.encoder import RecFormerEncoder, sight
from trials.recformer.model import RecFormerModel
from trials.recformer.sentences import MASK_WORD, attribute_pairs, tokenise, vocabulary_texts


def pooled(model: RecFormerModel, history: list[int]) -> torch.Tensor:
    return model._pooled(model.sentences.assemble([model.sentences.kept(np.array(history))]))[0]


@pytest.mark.parametrize("backbone", ["random-bert", "random-roberta"])
def test_the_encoder_is_the_backbones_but_for_types_and_item_places(data: SearchData, backbone: str) -> None:
    pairs = attribute_pairs(data, None)
    lm = load_masked_lm(backbone, None, texts=vocabulary_texts(pairs))  # type: ignore[arg-type]
    sentences = tokenise(lm, pairs, 32, 4, 40)
    encoder, plain = RecFormerEncoder(lm, sentences, 64).eval(), lm.encoder
    with torch.no_grad():
        encoder.types_3D.copy_(plain.embeddings.token_type_embeddings.weight[:1].expand(3, -1))  # type: ignore[union-attr,index]
        encoder.items_KD.zero_()
    tokens = sentences.assemble([np.array([3, 5]), np.array([4])])
    embedded = sentences.table_RD[torch.from_numpy(tokens.words_BL)]
    seen = torch.arange(embedded.shape[1]) < torch.from_numpy(tokens.lengths_B)[:, None]
    expected = plain(inputs_embeds=embedded, attention_mask=seen.long()).last_hidden_state
    torch.testing.assert_close(encoder(tokens)[seen], expected[seen], rtol=1e-4, atol=1e-5)


def test_a_token_sees_its_neighbours_and_cls_and_cls_sees_all() -> None:
    seen = sight(torch.tensor([9, 12]), 12, 2)[:, 0]
    for b, length in enumerate([9, 12]):
        for i in range(12):
            assert seen[b, i].nonzero()[:, 0].tolist() == [
                j for j in range(length) if abs(i - j) <= 2 or i == 0 or j == 0
            ]


def test_far_tokens_reach_a_token_through_cls_alone(make_model: Any) -> None:
    model = make_model(attention_window=2).eval()
    del model.encoder.layers[1:]
    one, other = (model.sentences.assemble([np.array(items)]) for items in ([3, 5], [3, 8]))
    states, others = model.encoder(one)[0], model.encoder(other)[0]
    assert torch.equal(states[1], others[1])
    assert not torch.equal(states[0], others[0])


def test_fine_tuning_is_a_softmax_of_cosines_with_constant_items(make_model: Any, data: SearchData) -> None:
    model = make_model(targets_per_user=None, pooling="mean").eval()
    batch = next(model.batches(0, np.random.default_rng(0)))
    items = torch.stack([pooled(model, [item]) for item in range(20)]).detach()
    torch.testing.assert_close(model.memory.items_ND, items, rtol=1e-4, atol=1e-5)
    states = model._pooled(batch.tokens)
    cosines = torch.stack([F.cosine_similarity(state[None], items) for state in states])
    expected = F.cross_entropy(cosines / 0.05, torch.from_numpy(batch.targets_C))
    torch.testing.assert_close(model.loss(batch)["next"], expected, rtol=1e-4, atol=1e-4)
    history = data.history(1)
    cosines = F.cosine_similarity(pooled(model, history.tolist())[None], items)
    torch.testing.assert_close(model.scores(as_queries([history]))[0], cosines, rtol=1e-4, atol=1e-5)


def test_pre_training_tells_the_batchs_items_apart_and_finds_hidden_words(make_model: Any) -> None:
    model = make_model(pretrain_epochs=1, lambda_mlm=0.5).eval()
    batch = list(model.batches(0, np.random.default_rng(0)))[-1]  # of four users, two of whom have one target
    losses = model.loss(batch)
    different = sorted(set(batch.targets_C.tolist()))
    vectors = torch.stack([pooled(model, [item]) for item in different])
    cosines = F.normalize(model._pooled(batch.tokens), dim=-1) @ F.normalize(vectors, dim=-1).T
    places = torch.tensor([different.index(target) for target in batch.targets_C.tolist()])
    torch.testing.assert_close(losses["items"], F.cross_entropy(cosines / 0.05, places), rtol=1e-4, atol=1e-4)
    states, terms = model.encoder(batch.hidden.tokens), []
    for b, place in zip(*batch.hidden.is_hidden_BL.nonzero(), strict=True):
        logits = model.hidden_words(states[b, place], model.encoder.words_RD)
        terms.append(F.cross_entropy(logits, torch.tensor(batch.tokens.words_BL[b, place])))
    torch.testing.assert_close(losses["words"], 0.5 * torch.stack(terms).mean(), rtol=1e-4, atol=1e-4)
    losses["items"].backward()
    assert model.encoder.words_RD.grad.abs().sum() > 0


def test_four_of_five_hidden_words_are_masked_and_cls_and_padding_never(make_model: Any) -> None:
    sentences = make_model(max_items=50).sentences
    tokens = sentences.assemble([np.array([3, 5, 1, 2]), np.array([4])] * 300)
    hidden = hide(tokens, 0.3, len(sentences.table_RD), np.random.default_rng(0))
    is_word = np.arange(tokens.words_BL.shape[1]) < tokens.lengths_B[:, None]
    is_word[:, 0] = False
    assert not hidden.is_hidden_BL[~is_word].any()
    assert hidden.is_hidden_BL.any(1).all()
    assert (hidden.tokens.words_BL == tokens.words_BL)[~hidden.is_hidden_BL].all()
    words, true = hidden.tokens.words_BL[hidden.is_hidden_BL], tokens.words_BL[hidden.is_hidden_BL]
    assert np.mean(words == MASK_WORD) == pytest.approx(0.8, abs=0.04)
    assert np.mean(words == true) == pytest.approx(0.1, abs=0.05)


def test_stage_2_starts_from_the_best_epoch_of_stage_1_and_keeps_its_items(make_model: Any) -> None:
    model = make_model(epochs=5, pretrain_epochs=1, stage1_share=0.5)
    assert model.config.stage2_from == 3
    items, weights = {}, {}
    for epoch, ndcg in enumerate([0.9, 0.3, 0.2, 0.1, 0.1]):
        next(model.batches(epoch, np.random.default_rng(0)))
        if epoch == 3:
            assert torch.equal(model.encoder.words_RD, weights[1])
        with torch.no_grad():
            model.encoder.words_RD += 0.1
        model.start_evaluation()
        items[epoch], weights[epoch] = model.memory.items_ND.clone(), model.encoder.words_RD.detach().clone()
        model.after_validation(epoch, np.zeros(1, dtype=np.int64), {"ndcg@10": ndcg})
    assert not torch.equal(items[1], items[2])
    assert torch.equal(items[3], items[1])
    assert torch.equal(items[4], items[1])


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="pretrain_epochs must be below epochs, got pretrain_epochs=3, epochs=3"):
        RecFormerConfig(epochs=3, pretrain_epochs=3)
    with pytest.raises(ValidationError, match="stage_metric must be one of metrics, got stage_metric=map@5"):
        RecFormerConfig(stage_metric="map@5")
