"""The keys that a space file may have under `data:` beside `name`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from searchplat.errors import InputError

O = TypeVar("O", bound="DataOptions")  # noqa: E741  (one letter, as type variables are)


WHOLE = "leave-one-out"


class Split(BaseModel):
    """Where sequences are cut, if not before each user's last two interactions: by time, or by a share of each user.

    After a user's cut come the validation items, then the test items; the rest is not used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: float | str | None = Field(
        None,
        description="Train on what is before this moment: a date as ISO 8601 (UTC), or a share in (0, 1) of all "
        "interactions, the earliest.",
    )
    ratio: float | None = Field(None, gt=0, lt=1, description="Train on this share of each user's interactions.")
    targets: int = Field(
        1,
        ge=1,
        le=100,
        description="How many of a user's interactions after the cut validate at most, and how many test.",
    )

    @model_validator(mode="after")
    def _one(self) -> Split:
        if (self.time is None) == (self.ratio is None):
            raise ValueError("a split is {time: ...} or {ratio: ...}, one of the two")
        if isinstance(self.time, float) and not 0 < self.time < 1:
            raise ValueError("time must be a share in (0, 1), or a date such as 2024-01-31")
        if isinstance(self.time, str):
            try:
                datetime.fromisoformat(self.time)
            except ValueError as error:
                raise ValueError("time must be a date such as 2024-01-31, or a share in (0, 1)") from error
        return self

    @property
    def moment(self) -> float | None:
        """The date in seconds since 1970; None if it is none."""
        if not isinstance(self.time, str):
            return None
        date = datetime.fromisoformat(self.time)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


class DataOptions(BaseModel):
    """Options that every data set has. Filters apply in the order in which they stand here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    places: ClassVar[frozenset[str]] = frozenset({"folder"})
    """Options that say where files lie, and nothing of what is in them."""

    folder: Path | None = Field(None, description="Where the published files lie, if not under SEARCHPLAT_DATA_DIR.")
    drop_untitled: bool = Field(False, description="Leave out items without a title.")
    min_rating: float | None = Field(None, description="Keep interactions rated at least this, in the file's unit.")
    duplicates: Literal["keep", "first", "last"] = Field(
        "keep", description="Which of a user's repeated interactions with one item to keep."
    )
    core: int = Field(
        1, ge=1, description="Repeat until every user and every item has at least this many interactions."
    )
    min_item: int = Field(
        1, ge=1, description="Interactions an item needs; repeated together with core and min_length."
    )
    min_length: int = Field(3, ge=3, description="Interactions a user needs: one each to train, validate and test.")
    split: Split | None = Field(
        None,
        description="{time: ...} or {ratio: ...}; by default leave-one-out: each user's last interaction is the "
        "test, the one before it the validation.",
    )
    rank_met: bool = Field(
        True, description="Rank what a user has met already as well; false leaves it out of the user's rankings."
    )
    requests_from_previous: int = Field(
        0,
        ge=0,
        le=20,
        description="Make each interaction's request of the texts of this many interactions before it (CRAMER: 3); "
        "0 keeps the requests that the files hold, if any.",
    )
    attributes: tuple[str, ...] | None = Field(
        None, description="Item attributes in an item's sentence, in order; the data set's own choice by default."
    )

    def content(self) -> dict[str, Any]:
        """Those that a prepared folder depends on: not where files lie, nor what is ranked."""
        left_out: dict[str, Any] = dict.fromkeys((*self.places, "rank_met"), True)
        if self.split is None:  # prepared folders of before had no such keys
            left_out["split"] = True
        elif self.split.targets == 1:
            left_out["split"] = {"targets"}
        return self.model_dump(mode="json", exclude=left_out)

    @field_validator("split", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value != WHOLE:
                raise ValueError(f"must be {WHOLE}, {{time: ...}} or {{ratio: ...}}")
            return None
        return value


class ReDialOptions(DataOptions):
    """Options of ReDial."""

    mentions: Literal["liked", "all"] = Field(
        "liked", description="Keep films that the seeker liked, by the form filled in afterwards, or all."
    )
    last_messages: int | None = Field(
        None, ge=1, description="A request is this many messages, the one with the mention included; null: all of them."
    )
    same_message: bool = Field(
        True,
        description="A request ends where the film is named; false: with the message before, since whoever names a "
        "film has it in mind from that message's first word.",
    )


class KuaiSAROptions(DataOptions):
    """Options of KuaiSAR."""

    searched: bool = Field(True, description="Also take what was clicked among search results.")
    clicked: bool = Field(True, description="Of what was recommended, take only what was clicked; else all of it.")


class ToyOptions(DataOptions):
    """Options of the generated data set."""

    users: int = Field(60, ge=1, le=100_000, description="Users to generate.")
    items: int = Field(40, ge=8, le=10_000, description="Items to generate.")
    length: int = Field(12, ge=3, le=200, description="Interactions of the average user.")
    seed: int = Field(0, ge=0, description="Seeds the generator.")
    requests: bool = Field(False, description="Also generate what was asked before each interaction.")


def parse_options(kind: type[O], name: str, options: Mapping[str, Any]) -> O:
    """Check the options of a data set.

    Raises:
        InputError: Naming every wrong key, its rule and its value.
    """
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        wrong = []
        for part in error.errors():
            key = ".".join(str(step) for step in part["loc"])
            if part["type"] == "extra_forbidden":
                wrong.append(f"{key} is not an option (known: {', '.join(kind.model_fields)})")
            else:
                told = part["msg"].removeprefix("Value error, ")
                wrong.append(f"{key}: {told}, got {part['input']!r}" if key else told)
        raise InputError(f"data {name}: {'; '.join(wrong)}.") from error
