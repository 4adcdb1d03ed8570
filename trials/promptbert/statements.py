"""Statements that the first layers read each alone, once, so that prompts run the later layers only.

With `statement_layers` the first layers of the backbone are frozen. They read every item's statement by itself, in
words (`The user watches Toy Story, genre is Animation Comedy.`), and one state is kept of it: the mean over its
tokens. They read the frame too (`The user is watching movies: Then, the user watches [MASK].`), of which the states of
[CLS] and [MASK] are kept. `shared.py` makes prompts of these.

Shape letters: `N` items, `L` places, `D` width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trials.backbones.encoders.masked_lm import MaskedLM
from trials.data.preparing.dataset import SearchData
from trials.promptbert.prompts import Template, genres_of

_TOKENS = 4096
"""Places read at once."""


@dataclass(frozen=True)
class StatementStates:
    """What the first layers make of statements and frame, on the host; not to be written to.

    Args:
        items_ND: One state an item.
        cls_D, mask_D: [CLS] and [MASK] of a prompt without statements.
        positions_PD: Embeddings of places, in the same proportion to statements as the backbone's own to words, but
            for the first place, which [CLS] has learnt already.
        later: The backbone's other layers, as they were loaded; trials train copies.
    """

    items_ND: Tensor
    cls_D: Tensor
    mask_D: Tensor
    positions_PD: Tensor
    later: nn.ModuleList


def statement_texts(data: SearchData, template: Template) -> list[str]:
    """The statement of every item, in words and without a rating."""
    return [
        f"The user {template.verb} {' '.join(title.split())}" + (f", genre is {genres}." if genres else ".")
        for title, genres in zip(data.titles, genres_of(data), strict=True)
    ]


@torch.no_grad()
def read_statements(lm: MaskedLM, data: SearchData, template: Template, layers: int) -> StatementStates:
    """Read every statement and the frame through the first `layers` layers.

    Args:
        lm: The backbone, which stays as it is.
        data: Whose items.
        template: The words.
        layers: In [1, layers of `lm` - 1].

    Raises:
        InputError: If these layers cannot run alone, or none would be left.
    """
    reader, later = lm.split(layers)
    most = lm.max_positions - 2
    rows = [np.array([lm.cls_id, *ids[:most], lm.sep_id]) for ids in lm.tokenize(statement_texts(data, template))]
    lengths = np.array([len(row) for row in rows])
    items_ND = torch.empty(len(rows), lm.hidden_size)
    order = np.argsort(lengths, kind="stable")
    for length in np.unique(lengths).tolist():  # of equal length together: nothing is padded
        same = order[lengths[order] == length]
        size = max(1, _TOKENS // length)
        for chunk in np.split(same, np.arange(size, len(same), size)):
            states_BLD = _read(reader, lm, np.stack([rows[i] for i in chunk]))
            items_ND[torch.from_numpy(chunk)] = states_BLD[:, 1:-1].mean(1) if length > 2 else states_BLD.mean(1)
    before, after = lm.tokenize([f"The user is {template.doing}: Then, the user {template.verb}", "."])
    frame = np.array([[lm.cls_id, *before, lm.mask_id, *after, lm.sep_id]])
    states_LD = _read(reader, lm, frame)[0]
    assert lm.positions_PD is not None
    scale = items_ND.norm(dim=1).mean() / lm.words_VD.norm(dim=1).mean()
    positions_PD = torch.cat([torch.zeros(1, lm.hidden_size), scale * lm.positions_PD[1:]])
    return StatementStates(items_ND, states_LD[0].clone(), states_LD[1 + len(before)].clone(), positions_PD, later)


def _read(reader: nn.Module, lm: MaskedLM, ids_BL: np.ndarray) -> Tensor:
    embedded_BLD = lm.words_VD[torch.from_numpy(ids_BL)]
    states_BLD: Tensor = reader(
        inputs_embeds=embedded_BLD, attention_mask=torch.ones(ids_BL.shape, dtype=torch.long)
    ).last_hidden_state
    return states_BLD
