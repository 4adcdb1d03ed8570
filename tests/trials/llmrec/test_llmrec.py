from __future__ import annotations

import pytest
from pydantic import ValidationError

from trials.darec import DARecConfig
from trials.dual.composition import LLMREC
from trials.llmrec import LLMRec, LLMRecConfig


def test_it_is_darecs_variant() -> None:
    assert LLMRecConfig().composition == LLMREC == DARecConfig(variant="llmrec").composition
    assert {one.method for one in LLMRec.published} == {"LLMRec"}


def test_it_is_nothing_else() -> None:
    with pytest.raises(ValidationError, match="variant"):
        LLMRecConfig(variant="darec")
