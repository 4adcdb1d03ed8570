"""What Prompt-BERT prints, all against 100 negatives by popularity (Tables 4 and 5; sizes from Table 1)."""

from __future__ import annotations

from searchplat.contract import Published

SIZES = {
    "ml-1m": (6_040, 3_952),
    "ml-10m": (71_567, 10_681),
    "ml-20m": (138_493, 27_278),
    "amazon-beauty-2014": (52_024, 57_289),
    "amazon-games-2014": (89_021, 22_933),
}
"""Users and items; "excluded all users with fewer than five interactions", before the filter by rating."""

FIGURES: dict[str, dict[str, tuple[float, float]]] = {
    "GRU4Rec": {
        "ml-1m": (0.3585, 0.1502),
        "ml-10m": (0.4245, 0.2761),
        "ml-20m": (0.6498, 0.4378),
        "amazon-beauty-2014": (0.3470, 0.2781),
        "amazon-games-2014": (0.3829, 0.2081),
    },
    "SASRec": {
        "ml-1m": (0.3619, 0.2605),
        "ml-10m": (0.4286, 0.2893),
        "ml-20m": (0.6560, 0.4951),
        "amazon-beauty-2014": (0.3505, 0.2713),
        "amazon-games-2014": (0.3860, 0.3540),
    },
    "BERT4Rec": {
        "ml-1m": (0.3624, 0.2691),
        "ml-10m": (0.4266, 0.2897),
        "ml-20m": (0.6558, 0.4947),
        "amazon-beauty-2014": (0.3560, 0.2721),
        "amazon-games-2014": (0.3867, 0.3551),
    },
    "CL4SRec": {
        "ml-1m": (0.3751, 0.2954),
        "ml-10m": (0.4641, 0.3471),
        "ml-20m": (0.7024, 0.5379),
        "amazon-beauty-2014": (0.3760, 0.2941),
        "amazon-games-2014": (0.5471, 0.4362),
    },
    "P5": {
        "ml-1m": (0.4041, 0.3250),
        "ml-10m": (0.6396, 0.4834),
        "ml-20m": (0.7959, 0.6521),
        "amazon-beauty-2014": (0.4001, 0.3159),
        "amazon-games-2014": (0.5691, 0.4544),
    },
    "Prompt-BERT": {
        "ml-1m": (0.4142, 0.3357),
        "ml-10m": (0.6446, 0.4932),
        "ml-20m": (0.8159, 0.6610),
        "amazon-beauty-2014": (0.4010, 0.3158),
        "amazon-games-2014": (0.5805, 0.4637),
    },
}
"""Recall@5 and NDCG@5."""

PROMPTBERT = tuple(
    Published(
        method,
        data,
        *SIZES[data],
        {"sampled/recall@5": recall, "sampled/ndcg@5": ndcg},
        f"Prompt-BERT, Table {4 if data.startswith('ml-') else 5}",
    )
    for method, row in FIGURES.items()
    for data, (recall, ndcg) in row.items()
)
