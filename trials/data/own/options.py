"""The keys under `data:` where it names a file of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from searchplat.contract import BesideSpace
from trials.data.preparing.options import DataOptions


class FileOptions(DataOptions):
    """Options of a file of one's own; those of every data set besides."""

    places: ClassVar[frozenset[str]] = frozenset({"folder", "file", "items"})

    file: Annotated[Path | None, BesideSpace()] = Field(
        None, description="Interactions: CSV, TSV, Parquet, RecBole's .inter, or JSON lines; .gz of those of text."
    )
    items: Annotated[Path | None, BesideSpace()] = Field(
        None, description="What is known of the items, one a row; every other column of it becomes an attribute."
    )
    user: str | None = Field(None, min_length=1, description="The column with the user's id; RecBole: user_id.")
    item: str | None = Field(None, min_length=1, description="The column with the item's id; RecBole: item_id.")
    time: str | None = Field(
        None,
        min_length=1,
        description="The column with the time: a number since 1970, or a date as ISO 8601; RecBole: timestamp. "
        "Without it the order of the lines is the order in time.",
    )
    title: str | None = Field(
        None, min_length=1, description="The column with the item's title, of the file of items or of interactions."
    )
    rating: str | None = Field(None, min_length=1, description="The column with the rating; RecBole: rating.")
    items_id: str | None = Field(
        None, min_length=1, description="The column of the file of items with the item's id; as `item` by default."
    )
    separator: str | None = Field(
        None, min_length=1, max_length=1, description="Between the fields of a text file; found by default."
    )
    columns: tuple[str, ...] | None = Field(
        None, min_length=2, description="What the columns of the interactions are called, if no header line says it."
    )
    time_format: str | None = Field(
        None, min_length=2, description="How times are written, as strptime takes it: '%d/%m/%Y %H:%M'."
    )

    @model_validator(mode="before")
    @classmethod
    def _known_by_other_names(cls, values: Any) -> Any:
        if isinstance(values, dict):
            if "k_core" in values:
                raise ValueError("k_core is called core; min_length is for users alone, min_item for items alone")
            if values.get("folder") is not None:
                raise ValueError("folder is for published data sets; file is the path itself")
        return values
