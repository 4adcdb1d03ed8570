"""The scale `paper` of every space has its paper's numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from searchplat.methods import load_method
from searchplat.spec.load import load
from searchplat.spec.model import SearchSpec

SPACES = Path(__file__).parents[1] / "spaces"

Rows = dict[str, tuple[Any, str]]
"""By key: the value, and where the paper has it. A key is a field of the method, or one of `ELSEWHERE`."""

ELSEWHERE: dict[str, Callable[[SearchSpec, str], Any]] = {
    "data": lambda spec, option: spec.data.options[option] if option else spec.data.name,
    "objective": lambda spec, _: spec.objectives[0].metric,
    "trials": lambda spec, stage: next(one.trials for one in spec.stages if one.name == stage),
    "data_fraction": lambda spec, stage: next(one.data_fraction for one in spec.stages if one.name == stage),
    "promotion": lambda spec, key: getattr(spec.promotion, key),
    "choices": lambda spec, axis: spec.space[axis].choices,
    "layers": lambda spec, axis: spec.space[axis].layers,
    "bounds": lambda spec, axis: (spec.space[axis].low, spec.space[axis].high),
    "control": lambda spec, name: next(dict(one.values) for one in spec.controls if one.name == name),
}
"""What is not a setting of the method: `key` or `key name`."""

DUAL: Rows = {
    "data": ("scientific", "3.1.1"),
    "backbone": ("facebook/opt-125m", "3.1.4"),
    "num_layers": (12, "3.1.4: OPT-125M"),
    "layers layout": (12, "3.1.4: r = 1"),
    "replace_every": (1, "3.1.4"),
    "epochs": (40, "3.1.4"),
    "promotion epochs": (40, "3.1.4"),
    "promotion patience": (40, "3.1.4: no early stopping is told"),
    "promotion data_fraction": (1.0, "2.4"),
    "learning_rate": (5e-5, "3.1.4, Table 3"),
    "schedule": ("cosine", "Table 3"),
    "warmup_fraction": (0.06, "3.1.4"),
    "batch_size": (6, "Table 3, Scientific"),
    "max_sentence_tokens": (30, "3.1.4"),
    "bottleneck": (64, "3.1.4"),
    "num_samples": (1, "3.1.4"),
    "num_negatives": (5, "3.1.4"),
    "temperature": (1.0, "3.1.4"),
    "lambda_align": (0.2, "Table 3, Scientific"),
    "lambda_cl": (1e-3, "Table 3, Scientific"),
    "lambda_cf": (0.1, "Table 3, Scientific"),
    "trials layout": (30, "3.1.4"),
    "data_fraction layout": (0.2, "Table 3, Scientific"),
    "objective": ("valid/mrr", "2.3.3"),
    "text_encoder": ("google-bert/bert-base-uncased", "Appendix A"),
    "hard_fraction": (0.005, "Appendix A"),
    "hard_mf_width": (1000, "Appendix A"),
    "cf_model": ("ncf", "3.1.4"),
    "cf_training": ("joint", "Appendix G"),
    "hard_routing": (False, "2.3.3: the router mixes"),
    "condition_states": ("none", "2.2.2: one linear layer"),
    "item_layers": (0, "2.1: every layer reads whole sequences"),
    "item_bias": ("zero", "2.2.2: nothing of popularity"),
    "data rank_met": (True, "3.1.2: among all items"),
    "promotion test": (("mrr", "recall@10", "ndcg@10"), "3.1.2"),
}

RECBOLE: Rows = {
    "data": ("scientific", "DARec, 3.1.1"),
    "epochs": (300, "RecBole: epochs"),
    "promotion patience": (10, "RecBole: stopping_step"),
    "learning_rate": (1e-3, "RecBole: learning_rate"),
    "data rank_met": (True, "DARec, 3.1.2: among all items"),
    "promotion test": (("mrr", "recall@10", "ndcg@10"), "DARec, 3.1.2"),
}
TRANSFORMER: Rows = {
    **RECBOLE,
    "weight_decay": (0.0, "RecBole: weight_decay"),
    "max_length": (50, "RecBole: MAX_ITEM_LIST_LENGTH"),
    "num_layers": (2, "RecBole: n_layers"),
    "num_heads": (2, "RecBole: n_heads"),
    "hidden_size": (64, "RecBole: hidden_size"),
    "inner_size": (256, "RecBole: inner_size"),
}

PAPERS: dict[str, Rows] = {
    "darec": {**DUAL, "variant": ("darec", "2.3")},
    "llmrec": {
        **{
            key: DUAL[key]
            for key in (
                *("data", "backbone", "num_layers", "epochs", "promotion patience", "promotion data_fraction"),
                *("learning_rate", "schedule", "warmup_fraction", "batch_size", "max_sentence_tokens", "objective"),
            )
        },
        "head_dropout": (0.0, "none is told"),
        "condition_states": ("none", "2.2.2"),
        "windows": ("last", "none is told"),
    },
    "mixrec": {**DUAL, "variant": ("mixrec", "2.3"), "cf_training": ("joint", "3.4")},
    "cramer": {
        "data": ("redial", "4.1, of which this is a part"),
        "objective": ("valid/sampled/ndcg@10", "B.3, 4.2"),
        "sampled_negatives": (100, "4.2"),
        "sampled_by": ("uniform", "4.2"),
        "request_items": (3, "B.1"),
        "choices drop_ratio": ((0.05, 0.1, 0.15, 0.2, 0.25), "B.3"),
        "choices scope": (("ffn", "output", "both"), "B.3"),
        "choices tuned": (("none", "last", "all"), "B.3"),
        "choices course": (("linear", "exponential", "cosine"), "B.3"),
        "bounds lambda_kl": ((0.1, 0.5), "B.3"),
        "choices backbone": (("sasrec", "bert4rec"), "4.1"),
        "tau_start": (0.7, "B.3"),
        "tau_end": (0.3, "B.3"),
        "backbone": ("sasrec", "Table 5, SASRec on ReDial"),
        "drop_ratio": (0.2, "Table 5, SASRec on ReDial"),
        "encoder": ("FacebookAI/roberta-base", "Table 5, SASRec on ReDial"),
        "scope": ("output", "Table 5, SASRec on ReDial"),
        "tuned": ("last", "Table 5, SASRec on ReDial"),
        "lambda_kl": (0.4, "Table 5, SASRec on ReDial"),
        "shared": (False, "Table 5, SASRec on ReDial"),
        "course": ("cosine", "Table 5, SASRec on ReDial"),
        "control default-bert4rec": (
            {"backbone": "bert4rec", "drop_ratio": 0.15, "scope": "ffn", "lambda_kl": 0.3},
            "Table 5, BERT4Rec on ReDial",
        ),
        "num_layers": (2, "B.2, RecBole: n_layers"),
        "num_heads": (2, "B.2, RecBole: n_heads"),
        "hidden_size": (64, "B.2, RecBole: hidden_size"),
        "inner_size": (256, "B.2, RecBole: inner_size"),
        "max_length": (50, "B.2, RecBole: MAX_ITEM_LIST_LENGTH"),
        "backbone_epochs": (300, "B.2, RecBole: epochs"),
        "backbone_patience": (10, "B.2, RecBole: stopping_step"),
        "backbone_learning_rate": (1e-3, "B.2, RecBole: learning_rate"),
        "backbone_holdout": (0, "B.2, RecBole: trained on all"),
        "backbone_folds": (0, "3.1: one frozen backbone"),
        "backbone_item_start": ("random", "B.2, RecBole"),
        "backbone_unit_spread": (None, "B.2, RecBole"),
        "request_components": (None, "3.3: W_proj reads e_q"),
        "request_dropout": (0.0, "none is told"),
        "projection_start": ("random", "none is told"),
        "text_weight": (0.0, "3.2: the predictive loss alone"),
        "lambda_next": (1.0, "equation 6"),
        "noise": (1.0, "3.3: Gumbel(0)"),
        "surrogate": ("softmax", "3.4"),
        "promotion seeds": (5, "Table 1"),
        "promotion test": (
            (
                *("mrr", "recall@10", "ndcg@10"),
                *(f"sampled/{name}@{k}" for name in ("recall", "ndcg", "mrr") for k in (10, 20)),
            ),
            "4.1, 4.2, besides ours",
        ),
    },
    "laser": {
        "data": ("scientific", "5.1"),
        "backbone": ("openai-community/gpt2-large", "Appendix B"),
        "id_recommender": ("bert4rec", "Appendix B"),
        "id_width": (64, "Appendix B: 2 heads of 32"),
        "former_layers": (12, "Appendix B"),
        "cross_every": (2, "Appendix B"),
        "former_width": (768, "Appendix B"),
        "former_heads": (12, "Appendix B"),
        "num_experts": (8, "Appendix B"),
        "top_experts": (3, "Appendix B"),
        "prefix_length": (32, "Appendix B"),
        "num_suffix": (1, "4.1"),
        "batch_size": (4, "Appendix B"),
        "learning_rate": (1e-4, "Appendix B"),
        "weight_decay": (0.0, "Appendix B: Adam"),
        "schedule": ("constant", "Appendix B: none is told"),
        "lambda_balance": (0.01, "Appendix B; 0.1 in 5.6.2"),
        "bounds lambda_balance": ((1e-3, 1.0), "both of them"),
        "temperature": (0.05, "Appendix B"),
        "epochs": (20, "Appendix B: 15 + 5"),
        "phase1_epochs": (15, "Appendix B"),
        "promotion epochs": (20, "Appendix B"),
        "promotion patience": (20, "4.3.2: phase 2 follows phase 1"),
        "centre_states": (False, "eq. 2"),
        "whiten_states": (False, "eq. 2"),
        "project_states": (False, "eq. 2"),
        "item_vectors": (False, "4.1: the output at the suffix"),
        "state_dropout": (0.0, "eq. 2"),
        "item_bias": ("none", "eq. 2: nothing of popularity"),
        "label_smoothing": (0.0, "eq. 6"),
        "item_layers": (0, "eq. 1: every layer reads the whole input"),
        "passes": ("single", "eq. 1: one input, one suffix"),
        "former_recency": (False, "eq. 5"),
        "template": ("paper", "4.1"),
        "data rank_met": (True, "eq. 3: among all items"),
        "promotion test": (
            ("mrr", "recall@10", "ndcg@10", "cold/mrr", "cold/recall@10", "cold/ndcg@10"),
            "5.1, 5.3",
        ),
    },
    "llamarec": {
        "data": ("scientific", "Laser, 5.1"),
        "backbone": ("meta-llama/Llama-2-7b-hf", "Laser, Appendix A"),
        "candidates": (20, "LlamaRec: top 20 are ranked"),
        "max_items": (20, "LlamaRec: at most 20 of a history"),
        "max_item_tokens": (32, "LlamaRec's code: llm_max_title_len"),
        "rank": (8, "LlamaRec: LoRA's dimension"),
        "alpha": (32.0, "LlamaRec: LoRA's alpha"),
        "adapter_dropout": (0.05, "LlamaRec: LoRA's dropout"),
        "learning_rate": (1e-4, "LlamaRec: learning rate"),
        "epochs": (1, "LlamaRec: one epoch"),
        "training_candidates": ("random", "LlamaRec's code"),
        "targets_per_user": (None, "LlamaRec's code: every place"),
        "verbaliser": ("words", "LlamaRec: the verbaliser"),
        "item_layers": (0, "LlamaRec: every layer reads the prompt"),
        "data rank_met": (True, "Laser, eq. 3: among all items"),
        "promotion test": (("mrr", "recall@10", "ndcg@10"), "Laser, 5.1"),
    },
    "promptbert": {
        "data": ("ml-1m", "4.1.1"),
        "backbone": ("google-bert/bert-base-uncased", "4.3: BERT-base"),
        "num_layers": (None, "4.3: all 12"),
        "max_tokens": (512, "4.3"),
        "learning_rate": (1e-4, "4.3"),
        "schedule": ("constant", "4.3: fixed"),
        "warmup_fraction": (0.0, "4.3: fixed"),
        "weight_decay": (0.01, "4.3"),
        "choices weight_decay": ((1e-4, 1e-3, 1e-2), "4.3"),
        "batch_size": (16, "4.3"),
        "contrast_group": (4, "4.3: 4 on each of 4 GPUs"),
        "experts": (4, "4.3"),
        "top_k": (2, "4.3"),
        "attention_heads": (4, "4.3"),
        "max_windows": (8, "4.1.2"),
        "stride": (2, "4.1.2"),
        "contrast_similarity": ("inner", "3.2"),
        "unrated_share": (0.0, "3.1"),
        "item_bias": ("zero", "3.1: nothing of popularity"),
        "statement_layers": (0, "3.1: BERT encodes the entire prompt"),
        "join_statements": (False, "3.1"),
        "centre_gate": (False, "3.2: W_p alone"),
        "condition_states": ("none", "3.1: compared with all candidate items as it is"),
        "label_smoothing": (0.0, "3.1"),
        "head_dropout": (0.0, "3.1"),
        "equal_branches": (False, "3.4"),
        "residual_of": ("mixture", "3.4: z_MoE"),
        "encoder_rate": (1.0, "4.3: one rate"),
        "title_rate": (1.0, "4.3: one rate"),
        "router_rate": (1.0, "4.3: one rate"),
        "sampled_negatives": (100, "4.3"),
        "sampled_by": ("popularity", "4.3"),
        "promotion test": (
            (
                *("mrr", "recall@10", "ndcg@10"),
                *(f"sampled/{name}@{k}" for k in (5, 10) for name in ("recall", "ndcg")),
            ),
            "4.3, besides ours",
        ),
    },
    "sasrec": {**TRANSFORMER, "dropout": (0.5, "RecBole: hidden_dropout_prob")},
    "bert4rec": {
        **TRANSFORMER,
        "dropout": (0.2, "RecBole: hidden_dropout_prob"),
        "mask_ratio": (0.2, "RecBole: mask_ratio"),
        "last_only": (0.5, "RecBole: ft_ratio"),
    },
    "cl4srec": {
        **TRANSFORMER,
        "data": ("ml-1m", "Prompt-BERT, 4.1"),
        "data rank_met": (False, "Prompt-BERT, 4.3: among items that the user never met"),
        "dropout": (0.5, "RecBole: hidden_dropout_prob"),
        "sampled_negatives": (100, "Prompt-BERT, 4.3"),
        "sampled_by": ("popularity", "Prompt-BERT, 4.3"),
        "lambda_cl": (0.1, "IV.A"),
        "promotion test": (
            ("mrr", "recall@10", "ndcg@10", "sampled/recall@5", "sampled/ndcg@5"),
            "Prompt-BERT, 4.3, besides ours",
        ),
    },
    "fdsa": {**TRANSFORMER, "dropout": (0.5, "RecBole: hidden_dropout_prob")},
    "unisrec": {
        **TRANSFORMER,
        "hidden_size": (300, "UniSRec's code: hidden_size"),
        "dropout": (0.5, "UniSRec's code: hidden_dropout_prob"),
        "text_encoder": ("google-bert/bert-base-uncased", "UniSRec, 2.1.1"),
        "experts": (8, "UniSRec's code: n_exps"),
        "adaptor_dropout": (0.2, "UniSRec's code: adaptor_dropout_prob"),
        "temperature": (0.07, "UniSRec's code: temperature"),
        "lambda_seq": (1e-3, "UniSRec's code: lambda"),
    },
    "zesrec": {
        **RECBOLE,
        "data": ("scientific", "Laser, 5.1"),
        "text_encoder": ("google-bert/bert-base-uncased", "ZESRec, 3.2"),
        "embedding_size": (64, "RecBole: embedding_size"),
        "hidden_size": (128, "RecBole: hidden_size"),
    },
    "recformer": {
        "data": ("scientific", "DARec, 3.1.1"),
        "backbone": ("FacebookAI/roberta-base", "RecFormer: Longformer, which has RoBERTa's weights"),
        "num_layers": (None, "RecFormer: all 12"),
        "pooling": ("cls", "RecFormer, item or sequence representations"),
        "attention_window": (64, "RecFormer's code: attention_window"),
        "max_attribute_tokens": (32, "RecFormer's code: max_attr_length"),
        "max_items": (50, "RecFormer's code: max_item_embeddings"),
        "temperature": (0.05, "RecFormer's code: temp"),
        "lambda_mlm": (0.1, "RecFormer, pre-training"),
        "mask_ratio": (0.15, "RecFormer's code: mlm_probability"),
        "pretrain_epochs": (32, "RecFormer's code: num_train_epochs of pre-training"),
        "learning_rate": (5e-5, "RecFormer's code: learning_rate"),
        "weight_decay": (0.0, "RecFormer's code: weight_decay"),
        "batch_size": (16, "RecFormer's code: batch_size"),
        "epochs": (160, "RecFormer's code: num_train_epochs, 32 + 128"),
        "targets_per_user": (1, "RecFormer's code: one of a sequence"),
        "stage_metric": ("ndcg@10", "RecFormer's code: NDCG@10"),
        "data rank_met": (True, "DARec, 3.1.2: among all items"),
        "promotion test": (("mrr", "recall@10", "ndcg@10"), "DARec, 3.1.2"),
    },
    "recguru": {
        "data": ("scientific", "Laser, 5.1"),
        "data rank_met": (True, "Laser, eq. 3: among all items"),
        "hidden_size": (32, "RecGURU's code: d_model"),
        "num_heads": (1, "RecGURU's code: n_head"),
        "inner_size": (512, "RecGURU's code: d_ff"),
        "num_layers": (3, "RecGURU's code: num_blocks"),
        "max_length": (100, "RecGURU's code: rec_maxlen"),
        "dropout": (0.5, "RecGURU's code: dropout_rate"),
        "batch_size": (1024, "RecGURU's code: batch_size"),
        "learning_rate": (1e-3, "RecGURU's code: the last phase's"),
        "discriminator_factor": (5, "RecGURU's code: dis_dim"),
        "detach_users": (True, "RecGURU's code: fix_enc"),
        "lambda_reconstruction": (1.0, "RecGURU's code: 1:1:1:1"),
        "lambda_adversary": (1.0, "RecGURU's code: 1:1:1:1"),
        "lambda_overlap": (0.01, "RecGURU's code: 1, over 1 to 2 % of the users"),
        "promotion test": (("mrr", "recall@10", "ndcg@10"), "Laser, 5.1"),
    },
    "llmesr": {
        **TRANSFORMER,
        "data": ("redial-full", "CRAMER, 4.1"),
        "data rank_met": (False, "CRAMER, 4.1: among items that the user has not met"),
        "dropout": (0.5, "RecBole: hidden_dropout_prob"),
        "similar_users": (10, "LLM-ESR's code: sim_user_num"),
        "lambda_distill": (0.1, "LLM-ESR's code: alpha"),
        "sampled_negatives": (100, "CRAMER, 4.1"),
        "promotion test": (
            ("mrr", "recall@10", "ndcg@10", "sampled/recall@10", "sampled/ndcg@10"),
            "CRAMER, Table 1, besides ours",
        ),
    },
    "llm4rec": {
        "data": ("scientific", "Laser, 5.1"),
        "data rank_met": (True, "Laser, eq. 3: among all items"),
        "backbone": ("openai-community/gpt2", "CLLM4Rec: GPT-2; Laser, Appendix A"),
        "num_layers": (None, "CLLM4Rec: all of GPT-2"),
        "epochs": (250, "CLLM4Rec's code: num_epochs, 100 + 150"),
        "pretrain_epochs": (100, "CLLM4Rec's code: num_epochs of the alternating loop"),
        "learning_rate": (1e-3, "CLLM4Rec's code: learning_rate of pre-training"),
        "batch_size": (20, "CLLM4Rec's code: batch_size"),
        "schedule": ("constant", "CLLM4Rec's code: Adam alone"),
        "weight_decay": (0.0, "CLLM4Rec's code: Adam alone"),
        "holdout": (0.2, "CLLM4Rec's code: predict_ratio"),
        "item_order": ("shuffled", "CLLM4Rec: items are reordered at random"),
        "item_start": ("random", "CLLM4Rec's code: normal"),
        "whiten_states": (False, "CLLM4Rec: heads alone"),
        "edge_attention": (False, "CLLM4Rec: none"),
        "promotion test": (("mrr", "recall@10", "ndcg@10"), "Laser, 5.1"),
    },
    "p5": {
        "data": ("scientific", "DARec, 3.1.1"),
        "data rank_met": (True, "DARec, 3.1.2: among all items"),
        "num_layers": (6, "DARec, 3.1.4: the small version, T5-small"),
        "num_heads": (8, "T5-small"),
        "hidden_size": (512, "T5-small"),
        "inner_size": (2048, "T5-small"),
        "dropout": (0.1, "T5-small"),
        "epochs": (10, "P5's code: epoch"),
        "batch_size": (32, "P5's code: batch_size"),
        "learning_rate": (1e-3, "P5's code: lr"),
        "warmup_fraction": (0.05, "P5's code: warmup_ratio"),
        "gradient_clip": (1.0, "P5's code: clip_grad_norm"),
        "weight_decay": (0.01, "P5's code: weight_decay"),
        "whole_words": (True, "P5's code: whole_word_embed"),
        "targets_per_user": (5, "P5's code: train_sample_numbers of prompts 2-1 to 2-6"),
        "indexing": ("sequential", "P5's data"),
        "promotion test": (("mrr", "recall@10", "ndcg@10"), "DARec, 3.1.2"),
    },
    "blair": {
        **TRANSFORMER,
        "data": ("redial-full", "CRAMER, 4.1"),
        "data rank_met": (False, "CRAMER, 4.1: among items that the user has not met"),
        "dropout": (0.5, "RecBole: hidden_dropout_prob"),
        "text_encoder": ("FacebookAI/roberta-base", "BLaIR: RoBERTa"),
        "tuned": ("all", "BLaIR: the whole encoder"),
        "tune_epochs": (1, "BLaIR: one epoch"),
        "tune_batch_size": (384, "BLaIR: batch size"),
        "tune_learning_rate": (5e-5, "BLaIR: learning rate"),
        "tune_temperature": (0.05, "BLaIR: τ"),
        "max_tokens": (64, "BLaIR: tokens"),
        "experts": (8, "UniSRec's code: n_exps"),
        "temperature": (0.07, "UniSRec's code: temperature"),
        "item_ids": (False, "BLaIR: by texts alone"),
        "request_items": (3, "CRAMER, B.1"),
        "sampled_negatives": (100, "CRAMER, 4.1"),
        "promotion test": (
            ("mrr", "recall@10", "ndcg@10", "sampled/recall@10", "sampled/ndcg@10"),
            "CRAMER, Table 1, besides ours",
        ),
    },
    "queryseqrec": {
        **TRANSFORMER,
        "data": ("redial-full", "CRAMER, 4.1"),
        "data rank_met": (False, "CRAMER, 4.1: among items that the user has not met"),
        "dropout": (0.5, "RecBole: hidden_dropout_prob"),
        "fusion": ("concatenation", "CRAMER, B.7"),
        "lambda_request": (0.0, "CRAMER, B.7: the fused representation alone"),
        "text_encoder": ("google-bert/bert-base-uncased", "CRAMER, B.5"),
        "request_items": (3, "CRAMER, B.1"),
        "sampled_negatives": (100, "CRAMER, 4.1"),
        "promotion test": (
            ("mrr", "recall@10", "ndcg@10", "sampled/recall@10", "sampled/ndcg@10"),
            "CRAMER, Table 1, besides ours",
        ),
    },
    "rearank": {
        "data": ("redial-full", "CRAMER, 4.1"),
        "data rank_met": (False, "CRAMER, 4.1: among items that the user has not met"),
        "retriever": ("sasrec", "CRAMER, B.7: on top of the backbone"),
        "retriever_epochs": (300, "RecBole: epochs"),
        "retriever_width": (64, "RecBole: hidden_size"),
        "retriever_dropout": (0.5, "RecBole: hidden_dropout_prob"),
        "backbone": ("Qwen/Qwen2.5-7B-Instruct", "REARANK: Qwen2.5-7B"),
        "num_layers": (28, "Qwen2.5-7B: all"),
        "item_layers": (0, "REARANK: every layer reads the prompt"),
        "window": (20, "REARANK's README: window_size"),
        "step": (10, "REARANK's README: step"),
        "num_candidates": (100, "REARANK's README: top_k_retrieve"),
        "verbaliser": ("words", "REARANK: the model's own head"),
        "listing": ("written", "REARANK: it writes the list"),
        "reasoning_tokens": (1024, "REARANK: it reasons first; how long at most is ours"),
        "request": ("auto", "CRAMER, B.7: the request is passed to it"),
        "sampled_negatives": (100, "CRAMER, 4.1"),
        "promotion test": (
            ("mrr", "recall@10", "ndcg@10", "sampled/recall@10", "sampled/ndcg@10"),
            "CRAMER, Table 1, besides ours",
        ),
    },
    "kar": {
        **TRANSFORMER,
        "data": ("scientific", "Laser, 5.1"),
        "dropout": (0.5, "RecBole: hidden_dropout_prob"),
        "text_encoder": ("google-bert/bert-base-uncased", "KAR's code: bert_avg"),
        "shared_experts": (2, "KAR's code: export_num"),
        "own_experts": (5, "KAR's code: specific_export_num"),
        "expert_width": (128, "KAR's code: convert_arch"),
        "knowledge_width": (32, "KAR's code: convert_arch"),
        "adaptor_dropout": (0.0, "KAR's code: convert_dropout"),
    },
    "gru4rec": {
        **RECBOLE,
        "embedding_size": (64, "RecBole: embedding_size"),
        "hidden_size": (128, "RecBole: hidden_size"),
        "num_layers": (1, "RecBole: num_layers"),
        "dropout": (0.3, "RecBole: dropout_prob"),
    },
    "mf": {**RECBOLE, "width": (64, "RecBole: embedding_size"), "batch_size": (2048, "RecBole: train_batch_size")},
    "ncf": {**RECBOLE, "width": (64, "RecBole: mf_embedding_size"), "dropout": (0.1, "RecBole: dropout_prob")},
}
"""Sections, tables and appendices are those of the space's own paper unless another is named."""

COUNTED = {"markov", "itemknn", "ease"}
"""Whose papers use other data; their scale `paper` has the data of the papers above."""


@cache
def spec_of(space: str) -> SearchSpec:
    return load(SPACES / f"{space}.yaml", scale="paper")


@pytest.mark.parametrize(
    ("space", "key", "value", "source"),
    [(space, key, value, source) for space, rows in PAPERS.items() for key, (value, source) in rows.items()],
)
def test_the_scale_has_the_papers_number(space: str, key: str, value: Any, source: str) -> None:
    spec = spec_of(space)
    first, _, name = key.partition(" ")
    if first in ELSEWHERE:
        found = ELSEWHERE[first](spec, name)
    else:  # what a parameter is where it is not searched: in other stages, and in controls
        found = getattr(load_method(spec.method).Config(**spec.fixed), key)
    assert found == value, source


@pytest.mark.parametrize("space", ["darec", "mixrec"])
@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("lambda_align", (0.1, 0.2, 0.1, 0.2, 0.05)),
        ("lambda_cl", (1e-6, 1e-3, 1e-3, 1e-6, 1e-3)),
        ("lambda_cf", (0.001, 0.1, 0.05, 0.1, 0.01)),
    ],
)
def test_the_ranges_hold_what_table_3_has_for_any_data_set(space: str, axis: str, values: tuple[float, ...]) -> None:
    low, high = ELSEWHERE["bounds"](spec_of(space), axis)
    assert low <= min(values) < max(values) <= high


def test_every_space_with_the_scale_is_examined() -> None:
    named = {path.stem for path in SPACES.glob("*.yaml") if "\n  paper:" in path.read_text(encoding="utf-8")}
    assert named - COUNTED == set(PAPERS)
