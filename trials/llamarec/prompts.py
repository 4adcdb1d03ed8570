"""What LlamaRec's language model reads around the items."""

from __future__ import annotations

from trials.backbones.decoders.candidate_prompts import Template

TEMPLATE = Template(
    head="### Instruction:\nGiven user history in chronological order, recommend an item from the candidate pool with "
    "its index letter.\n\n### Input:\nUser history:\n",
    pool="\nCandidate pool:\n",
    response="\n### Response:\n",
)
"""Source: Yue et al., PGAI at CIKM 2023, "ranking"."""
