"""What REARANK's language model reads, and what it writes behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trials.backbones.decoders.candidate_prompts import Template, letter_tokens
from trials.backbones.decoders.decoder_lm import Tokenize
from trials.data.preparing.dataset import IntArray
from trials.nn.ragged import Ragged

REQUEST = "\nRequest:\n"
CLOSING = "</think>\n<answer> ["
BETWEEN = "] > ["


def template(*, reasoning: bool) -> Template:
    """What a prompt says, the first words of the answer included.

    Source: Zhang et al., EMNLP 2025: reasoning within `<think>`, then all identifiers within `<answer>`, `[1] > [2]`.
    Differs: letters in place of numbers, of which not all are one token; the user's history, and the request where
    there is one, in place of a search query.
    """
    return Template(
        head="### Instruction:\nRank all candidates by how likely the user chooses them next, given user history in "
        f"chronological order.{' Think first.' if reasoning else ''} Answer with all letters, the likeliest first: "
        "[B] > [A] > ...\n\n### Input:\nUser history:\n",
        pool="\nCandidates:\n",
        response="\n### Response:\n<think>" if reasoning else "\n### Response:\n<answer> [",
        letter="[{}]",
    )


@dataclass(frozen=True)
class Script:
    """Tokens of which an answer is made.

    Args:
        letters_K: One of each candidate.
        between: Behind each letter but the last.
        closing: Between reasoning and list; who writes its first token has done reasoning. Empty without reasoning.
    """

    letters_K: IntArray
    between: list[int]
    closing: list[int]

    @property
    def longest(self) -> int:
        """Tokens of an answer but its reasoning."""
        return len(self.closing) + len(self.letters_K) * (1 + len(self.between))


def script_of(tokenize: Tokenize, count: int, backbone: str, *, reasoning: bool) -> Script:
    """The script for K = `count` candidates.

    Raises:
        InputError: If the tokenizer has no token for each letter.
    """
    closing, between = tokenize([CLOSING, BETWEEN])
    return Script(letter_tokens(tokenize, count, backbone), between, closing if reasoning else [])


def asked(tokenize: Tokenize, requests: Sequence[str], max_tokens: int) -> Ragged:
    """The tokens of each request as a prompt has them, none where it is blank."""
    (front,) = tokenize([REQUEST])
    rows = tokenize(list(requests)) if len(requests) else []
    return Ragged.of([[*front, *ids[-max_tokens:]] if ids else [] for ids in rows])
