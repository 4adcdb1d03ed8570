"""MF as a recommender; `trials.nn.cf` is the model, `trials.backbones.recommenders.collaborative` trains it."""

from __future__ import annotations

from torch import nn

from trials.backbones.recommenders.collaborative import CollaborativeModel
from trials.data.preparing.dataset import SearchData
from trials.mf.config import MFConfig
from trials.nn.cf import MF


def make(config: MFConfig, data: SearchData, *, learnt: bool = False) -> CollaborativeModel:
    """Matrix factorisation trained with BPR.

    Source: Rendle et al., UAI 2009, sections 4.1 and 4.3.1. As RecBole: vectors start by Glorot's rule (normal), and
    Adam takes steps on batches of interactions in random order. Differs from the paper: no stochastic gradient step
    for every triple drawn with replacement, and regularisation is AdamW's weight decay, 0 by default.

    Args:
        learnt: Whether the weights will be loaded, and the data's interactions are stand-ins.
    """
    model = MF(data.num_users, data.num_items, config.width)
    nn.init.xavier_normal_(model.users.weight)
    nn.init.xavier_normal_(model.items.weight)
    model.item_bias.requires_grad_(config.item_bias)  # it starts at 0, and stays there
    return CollaborativeModel(model, data, config, learnt=learnt)
