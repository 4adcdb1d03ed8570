"""What the paper prints for MovieLens 1M (Table 4, against 100 negatives by popularity; sizes from Table 1)."""

from __future__ import annotations

from searchplat.contract import Published

SOURCE = "Prompt-BERT, Table 4"


def _ml_1m(method: str, recall: float, ndcg: float) -> Published:
    return Published(method, "ml-1m", 6_040, 3_952, {"sampled/recall@5": recall, "sampled/ndcg@5": ndcg}, SOURCE)


PUBLISHED = (
    _ml_1m("GRU4Rec", 0.3585, 0.1502),
    _ml_1m("SASRec", 0.3619, 0.2605),
    _ml_1m("BERT4Rec", 0.3624, 0.2691),
    _ml_1m("CL4SRec", 0.3751, 0.2954),
    _ml_1m("P5", 0.4041, 0.3250),
    _ml_1m("Prompt-BERT", 0.4142, 0.3357),
)
