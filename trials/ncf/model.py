"""NCF as a recommender; `trials.nn.cf` is the model, `trials.backbones.recommenders.collaborative` trains it."""

from __future__ import annotations

from trials.backbones.recommenders.collaborative import CollaborativeModel
from trials.data.preparing.dataset import SearchData
from trials.ncf.config import NCFConfig
from trials.nn.cf import NCF


def make(config: NCFConfig, data: SearchData, *, learnt: bool = False) -> CollaborativeModel:
    """NeuMF trained with the log loss on sampled negatives.

    Source: He et al., WWW 2017, sections 3.2 to 3.4. As RecBole: dropout before the MLP's layers, and one negative
    for every positive (the paper's best are 3 to 6). Differs from the paper: the two halves are not trained
    beforehand, and the layers of the MLP halve from `hidden_size` on, whatever the width of the vectors.

    Args:
        learnt: Whether the weights will be loaded, and the data's interactions are stand-ins.
    """
    model = NCF(data.num_users, data.num_items, config.width, config.hidden_sizes, config.dropout)
    return CollaborativeModel(model, data, config, learnt=learnt)
