"""What the paper prints for its Amazon data (Table 2, full ranking; sizes from Table 1). Loads no torch."""

from __future__ import annotations

from searchplat.contract import Published

SOURCE = "Laser, Table 2"


def _scientific(method: str, recall: float, ndcg: float, mrr: float) -> Published:
    return Published(
        method, "scientific", 11_041, 5_327, {"recall@10": recall, "ndcg@10": ndcg, "mrr": mrr}, SOURCE
    )  # fmt: skip


PUBLISHED = (
    _scientific("SASRec", 0.1311, 0.0803, 0.0712),
    _scientific("BERT4Rec", 0.1061, 0.0790, 0.0759),
    _scientific("RecGURU", 0.0781, 0.0575, 0.0566),
    _scientific("ZESRec", 0.1260, 0.0843, 0.0745),
    _scientific("RecFormer", 0.1114, 0.0722, 0.0650),
    _scientific("FDSA", 0.0967, 0.0716, 0.0692),
    _scientific("LLM4REC", 0.1257, 0.0764, 0.0683),
    _scientific("Laser-G", 0.1291, 0.0842, 0.0768),
    _scientific("KAR", 0.1265, 0.0894, 0.0813),
    _scientific("Laser-C", 0.1406, 0.0983, 0.0916),
    _scientific("LlamaRec", 0.1275, 0.0857, 0.0793),
    _scientific("Laser-L", 0.1387, 0.0984, 0.0923),
)
