"""What CRAMER prints for itself and for REARANK, among 100 items drawn uniformly, means of five runs (Table 1).

In our copy of the text the rows' names have slipped against their figures by one. CRAMER's rows can be told: they end
each half, bear the stars of significance, and Table 6 repeats their NDCG@10 on SASRec. REARANK's are taken to be those
before them, which the copy calls CRAMER's: each half has six rows for five names, Tables 2 and 8 have the backbone
without requests as an unnamed first row and REARANK as the last but one, and in all eight settings the first row has
the lowest HR@10. The other rows would follow from the same, and are left out.

The request encoder behind them is not certain: Table 5 has RoBERTa and ModernBERT as the best, while section B.5 says
that Table 6's last column, BERT-base, is the model of the main experiments, and prints the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping

from searchplat.contract import Published

ITEMS = {"redial": 5_207, "kuaisar": 174_895, "beauty": 44_977, "cds": 76_368}
"""Of each data set after filtering and sampling (Table 4), which gives no number of users."""

OURS = {
    "redial": ("redial-full", "redial"),
    "kuaisar": ("kuaisar",),
    "beauty": ("amazon-beauty-2023",),
    "cds": ("amazon-cds-2023",),
}
"""Our names: `redial` holds a part of the training dialogues."""

METRICS = tuple(f"sampled/{name}" for name in ("recall@10", "recall@20", "ndcg@10", "ndcg@20", "mrr@10", "mrr@20"))
"""In the table's order; with one right item its HR is recall."""

TABLE_1 = {
    ("SASRec", "redial"): (0.578, 0.694, 0.428, 0.456, 0.413, 0.421),
    ("SASRec", "kuaisar"): (0.556, 0.748, 0.436, 0.484, 0.391, 0.405),
    ("SASRec", "beauty"): (0.574, 0.735, 0.489, 0.531, 0.385, 0.397),
    ("SASRec", "cds"): (0.619, 0.726, 0.472, 0.498, 0.397, 0.404),
    ("BERT4Rec", "redial"): (0.580, 0.753, 0.451, 0.497, 0.376, 0.389),
    ("BERT4Rec", "kuaisar"): (0.598, 0.717, 0.434, 0.467, 0.382, 0.390),
    ("BERT4Rec", "beauty"): (0.539, 0.734, 0.396, 0.447, 0.345, 0.359),
    ("BERT4Rec", "cds"): (0.583, 0.695, 0.487, 0.516, 0.433, 0.441),
}
"""By backbone and data set."""

REARANK_ROWS = {
    ("SASRec", "redial"): (0.549, 0.684, 0.414, 0.449, 0.408, 0.417),
    ("SASRec", "kuaisar"): (0.538, 0.645, 0.409, 0.437, 0.366, 0.374),
    ("SASRec", "beauty"): (0.548, 0.681, 0.474, 0.509, 0.335, 0.344),
    ("SASRec", "cds"): (0.612, 0.719, 0.454, 0.481, 0.378, 0.385),
    ("BERT4Rec", "redial"): (0.536, 0.680, 0.388, 0.424, 0.355, 0.366),
    ("BERT4Rec", "kuaisar"): (0.566, 0.691, 0.416, 0.448, 0.355, 0.364),
    ("BERT4Rec", "beauty"): (0.509, 0.693, 0.379, 0.426, 0.331, 0.346),
    ("BERT4Rec", "cds"): (0.571, 0.684, 0.423, 0.452, 0.367, 0.376),
}
"""Likewise, the rows before CRAMER's."""


def _published(method: str, rows: Mapping[tuple[str, str], tuple[float, ...]]) -> tuple[Published, ...]:
    return tuple(
        Published(
            f"{method} ({backbone})",
            name,
            None,
            ITEMS[data],
            dict(zip(METRICS, figures, strict=True)),
            "CRAMER, Table 1",
        )
        for (backbone, data), figures in rows.items()
        for name in OURS[data]
    )


CRAMER = _published("CRAMER", TABLE_1)
REARANK = _published("REARANK", REARANK_ROWS)
