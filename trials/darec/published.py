"""What the paper prints for its Amazon data (Table 2, full ranking; sizes from Table 1). Loads no torch."""

from __future__ import annotations

from searchplat.contract import Published

SOURCE = "DARec (2024), Table 2"


def _scientific(method: str, ndcg: float, recall: float, mrr: float) -> Published:
    return Published(
        method, "scientific", 10_973, 5_193, {"ndcg@10": ndcg, "recall@10": recall, "mrr": mrr}, SOURCE
    )  # fmt: skip


PUBLISHED = (
    _scientific("GRU4Rec", 0.0799, 0.1048, 0.0771),
    _scientific("SASRec", 0.1001, 0.1430, 0.0919),
    _scientific("BERT4Rec", 0.0704, 0.0995, 0.0654),
    _scientific("FDSA", 0.1018, 0.1337, 0.0962),
    _scientific("P5", 0.1031, 0.1257, 0.0977),
    _scientific("UniSRec", 0.0656, 0.1226, 0.0535),
    _scientific("RecFormer", 0.1040, 0.1468, 0.0966),
    _scientific("LLMRec", 0.0520, 0.0745, 0.0495),
    _scientific("DARec", 0.1162, 0.1529, 0.1105),
)
