"""A search for other tools: a table of its trials. `searchers.studies` makes Optuna studies of it."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.repeats import repeated
from searchplat.ledger.widenings import widenings
from searchplat.spec.model import SearchSpec
from searchplat.spec.space import Bool, Categorical, Domain, Float, Int

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters that make a spreadsheet take a cell's text for a formula."""


def frame(ledger: Ledger, spec: SearchSpec) -> pd.DataFrame:
    """A row a trial, controls included, in the order of their numbers.

    Columns: `trial`, `stage`, `control`, `method`, `state`, `epochs`, `seconds`, `seed`, `data_fraction`, `repeats`
    (the trial whose configuration it trained again), `retries`, `widened` (how often the space had been widened when it
    was suggested), `cause`, then `value.<metric>` of each objective,
    `outcome.<metric>` of each bounded metric and `violation` (0 where all bounds are kept) where there are bounds,
    `param.<name>` of each searched value, `config.<name>` of the whole configuration. Types of all but the last are
    those of the space, whatever the trials have.
    """
    import pandas as pd

    rows = []
    widened = [event.seq for event in widenings(ledger)]
    for trial in ledger.trials():
        values = trial.objectives or (math.nan,) * len(spec.objectives)
        rows.append(
            {
                "trial": trial.number, "stage": trial.stage, "control": trial.control, "method": trial.method,
                "state": trial.state.value, "epochs": trial.epoch, "seconds": trial.seconds, "seed": trial.seed,
                "data_fraction": trial.data_fraction, "repeats": repeated(trial), "retries": trial.retries,
                "widened": sum(seq < trial.suggested_at for seq in widened), "cause": trial.cause,
                **{f"value.{o.metric}": value for o, value in zip(spec.objectives, values, strict=True)},
                **{f"outcome.{one.bound.metric}": one.value for one in trial.outcomes},
                **({"violation": trial.violation if trial.outcomes else math.nan} if spec.outcomes else {}),
                **{f"param.{name}": value for name, value in trial.values.items()},
                **{f"config.{name}": _cell(value) for name, value in trial.config.items()},
            }
        )  # fmt: skip
    types = {**_TYPES, **{f"value.{o.metric}": "float64" for o in spec.objectives}}
    types |= {f"outcome.{bound.metric}": "float64" for bound in spec.outcomes}
    types |= {"violation": "float64"} if spec.outcomes else {}
    known = {f"param.{axis.name}": _type_of(axis) for axis in spec.space.domains}
    columns = dict.fromkeys([*types, *(key for row in rows for key in row)])
    table = pd.DataFrame(rows, columns=list(columns))
    return table.astype({**types, **{key: kind for key, kind in known.items() if key in columns and kind}})


_TYPES = {
    "trial": "int64", "stage": "string", "control": "string", "method": "string", "state": "string", "epochs": "int64",
    "seconds": "float64", "seed": "int64", "data_fraction": "float64", "repeats": "Int64", "retries": "int64",
    "widened": "int64", "cause": "string",
}  # fmt: skip
"""Of the columns that every table has; a value may be missing in those with a capital letter, and in text."""


def _type_of(axis: Domain) -> str:
    """Of a parameter's column, in which a value may be missing: a condition did not hold, or another stage searched."""
    match axis:
        case Float():
            return "float64"
        case Int():
            return "Int64"
        case Bool():
            return "boolean"
        case Categorical(choices=choices):
            kinds: dict[type, str] = {str: "string", int: "Int64", float: "float64", bool: "boolean"}
            found = {kinds.get(type(choice), "") for choice in choices}
            return found.pop() if len(found) == 1 else ""
        case _:
            return "string"


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write `.csv` or `.parquet`, whole or not at all. Text in a CSV that a spreadsheet would execute gets a quote."""
    part = path.with_name(f".{path.name}.part")
    try:
        if path.suffix == ".parquet":
            table.astype({c: "string" for c in table.columns if _mixed(table[c])}).to_parquet(part, index=False)
        else:
            # All text in quotes: unquoted, a carriage return within a cell begins a new row for many a reader.
            table.map(_harmless).to_csv(part, index=False, quoting=csv.QUOTE_NONNUMERIC)
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
    finally:
        part.unlink(missing_ok=True)


def _cell(value: Any) -> Any:
    """Lists and mappings as text; a column holds one kind of thing."""
    return str(value) if isinstance(value, Sequence | Mapping) and not isinstance(value, str) else value


def _mixed(column: pd.Series[Any]) -> bool:
    return column.dtype == object


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
