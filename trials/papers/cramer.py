"""What CRAMER prints for itself, among 100 items drawn uniformly, means of five runs (Table 1).

Only its own rows: in our copy of the text the rows' names have slipped against their figures by one, the unnamed first
row of each half perhaps being the backbone without requests. CRAMER's rows can be told: they end each half, bear the
stars of significance, and Table 6 repeats their NDCG@10 on SASRec.

The request encoder behind them is not certain: Table 5 has RoBERTa and ModernBERT as the best, while section B.5 says
that Table 6's last column, BERT-base, is the model of the main experiments, and prints the same figures.
"""

from __future__ import annotations

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

CRAMER = tuple(
    Published(
        f"CRAMER ({backbone})",
        name,
        None,
        ITEMS[data],
        dict(zip(METRICS, figures, strict=True)),
        "CRAMER, Table 1",
    )
    for (backbone, data), figures in TABLE_1.items()
    for name in OURS[data]
)
