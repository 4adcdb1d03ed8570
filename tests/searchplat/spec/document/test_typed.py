"""What a model has against the value of one field."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from searchplat.spec.document.typed import field_error, rule_of


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True)

    rate: float = Field(gt=0)
    layers: int | str = 2


def test_a_field_is_asked_for_itself_whatever_the_others_are() -> None:
    assert field_error(Settings, "layers", 3) is None  # though `rate` is missing
    assert field_error(Settings, "layers", 3, {"rate": -1.0}) is None
    error = field_error(Settings, "rate", -1.0, {"rate": 0.5})
    assert error is not None
    assert rule_of(error) == "must be > 0"


def test_of_a_union_the_first_complaint_counts() -> None:
    error = field_error(Settings, "layers", 2.5)
    assert error is not None
    assert error["loc"] == ("layers", "int")
