"""What DARec and MixRec print: the same tables, but for the name of their own method (Table 2, full ranking).

Sizes are those of Table 1.
"""

from __future__ import annotations

from searchplat.contract import Published

SIZES = {
    "arts": (56_083, 22_685),
    "scientific": (10_973, 5_193),
    "instruments": (27_518, 10_535),
    "pantry": (14_178, 4_961),
    "games": (55_126, 17_277),
}
"""Users and items of each data set (Table 1)."""

OURS = {data: (f"amazon-{data}-2018",) for data in SIZES} | {"scientific": ("amazon-scientific-2018", "scientific")}
"""Our names: `scientific` is RecFormer's edition of the same reviews, with fewer users."""

METHODS = ("GRU4Rec", "SASRec", "BERT4Rec", "FDSA", "P5", "UniSRec", "RecFormer", "LLMRec")

TABLE_2 = {
    ("arts", "ndcg@10"): (0.1118, 0.1236, 0.0950, 0.1254, 0.1286, 0.0694, 0.1251, 0.0792, 0.1400),
    ("arts", "recall@10"): (0.1365, 0.1619, 0.1255, 0.1569, 0.1482, 0.1263, 0.1580, 0.1054, 0.1767),
    ("arts", "mrr"): (0.1082, 0.1164, 0.0890, 0.1198, 0.1234, 0.0566, 0.1198, 0.0744, 0.1340),
    ("scientific", "ndcg@10"): (0.0799, 0.1001, 0.0704, 0.1018, 0.1031, 0.0656, 0.1040, 0.0520, 0.1162),
    ("scientific", "recall@10"): (0.1048, 0.1430, 0.0995, 0.1337, 0.1257, 0.1226, 0.1468, 0.0745, 0.1529),
    ("scientific", "mrr"): (0.0771, 0.0919, 0.0654, 0.0962, 0.0977, 0.0535, 0.0966, 0.0495, 0.1105),
    ("instruments", "ndcg@10"): (0.0797, 0.0866, 0.0703, 0.0889, 0.0847, 0.0700, 0.0821, 0.0486, 0.0966),
    ("instruments", "recall@10"): (0.1047, 0.1175, 0.0906, 0.1157, 0.1056, 0.1210, 0.1030, 0.0689, 0.1283),
    ("instruments", "mrr"): (0.0768, 0.0825, 0.0682, 0.0857, 0.0801, 0.0591, 0.0803, 0.0470, 0.0927),
    ("pantry", "ndcg@10"): (0.0453, 0.0570, 0.0373, 0.0618, 0.0409, 0.0345, 0.0566, 0.0251, 0.0689),
    ("pantry", "recall@10"): (0.0673, 0.0887, 0.0552, 0.0848, 0.0529, 0.0731, 0.0888, 0.0392, 0.1036),
    ("pantry", "mrr"): (0.0435, 0.0524, 0.0363, 0.0597, 0.0389, 0.0278, 0.0513, 0.0251, 0.0638),
    ("games", "ndcg@10"): (0.0743, 0.0802, 0.0604, 0.0860, 0.0568, 0.0489, 0.0675, 0.0339, 0.0895),
    ("games", "recall@10"): (0.1142, 0.1322, 0.0914, 0.1273, 0.0729, 0.1020, 0.1027, 0.0534, 0.1358),
    ("games", "mrr"): (0.0697, 0.0728, 0.0576, 0.0810, 0.0535, 0.0399, 0.0513, 0.0325, 0.0839),
}
"""A value a method: METHODS, then the paper's own."""


def _table_2(paper: str) -> tuple[Published, ...]:
    return tuple(
        Published(
            method,
            name,
            *SIZES[data],
            {metric: figures[column] for (where, metric), figures in TABLE_2.items() if where == data},
            f"{paper} (2024), Table 2",
        )
        for data in SIZES
        for name in OURS[data]
        for column, method in enumerate((*METHODS, paper))
    )


DAREC = _table_2("DARec")
MIXREC = (
    *_table_2("MixRec"),
    Published(
        "MixRec, frozen CF", "amazon-arts-2018", *SIZES["arts"], {"ndcg@10": 0.0967}, "MixRec (2024), section 3.4"
    ),
)
