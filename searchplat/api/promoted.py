"""Promoting and comparing from Python."""

from __future__ import annotations

import io
import os
import signal
import time
from contextlib import nullcontext, suppress
from numbers import Integral
from typing import TYPE_CHECKING, Any

from searchplat import methods
from searchplat.arguments import several, texts, whole
from searchplat.engine.places import Places
from searchplat.ledger.folder import SearchFolder
from searchplat.promotion import formats
from searchplat.promotion.candidates import Asked
from searchplat.promotion.outcome import document
from searchplat.promotion.promote import PromotionOutcome, run_promotion
from searchplat.promotion.table import Table
from searchplat.signals import exit_code
from searchplat.views.text import visible_lines

if TYPE_CHECKING:
    import pandas as pd


class Promoted:
    """What became of a promotion.

    Args:
        outcome: The engine's.
    """

    def __init__(self, outcome: PromotionOutcome) -> None:
        self._outcome = outcome

    @property
    def state(self) -> str:
        """`done`; or `interrupted`, and the same call goes on."""
        return self._outcome.state

    @property
    def model(self) -> str | None:
        """The registered winner, `models:/NAME/VERSION`; None if none was registered."""
        return None if self._outcome.registered is None else self._outcome.registered.uri

    def document(self) -> dict[str, Any]:
        """All of it, as `searchplat promote --json` prints it."""
        return document(self._outcome)

    def candidates(self) -> pd.DataFrame:
        """A row a candidate; test metrics as `test.<metric>.mean` and `.sd` over seeds."""
        import pandas as pd

        return pd.json_normalize(self.document()["candidates"])

    def __repr__(self) -> str:
        return f"<promotion of {self._outcome.promotion.search}, {self.state}>"

    def _repr_html_(self) -> str:
        return _html(self.candidates())


class Comparison:
    """Promoted searches side by side.

    Args:
        table: The promotion's own.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def frame(self) -> pd.DataFrame:
        """A row for each figure, with the tests: what `searchplat compare --format csv` prints."""
        import pandas as pd

        return pd.read_csv(io.StringIO(formats.csv_text(self._table)))

    def document(self) -> dict[str, Any]:
        """All of it, as `searchplat compare --json` prints it."""
        return formats.document(self._table)

    def markdown(self) -> str:
        """As Markdown."""
        return visible_lines(formats.markdown(self._table))

    def latex(self) -> str:
        """As LaTeX."""
        return visible_lines(formats.latex(self._table))

    def __repr__(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        return _html(self.frame())


def promoted(
    folder: SearchFolder,
    asked: Asked,
    places: Places,
    *,
    workers: int,
    again: bool,
    allow_changed: bool,
    allow_import: bool,
    quiet: bool,
) -> Promoted:
    """Promote a search; see `searchplat.api.search.Search.promote`."""
    from searchplat.api.running import refuse_connected

    for name, least in (("top", 1), ("seeds", 1), ("epochs", 1), ("race", 0)):
        if (value := getattr(asked, name)) is not None:
            whole(name, value, least)
    if asked.trials is not None:
        several("trials", asked.trials, Integral, "[0, 3]")
    workers = whole("workers", workers, 1)
    texts(address=places.address, tracking_uri=places.tracking_uri, storage=places.storage)
    refuse_connected(places.address)

    def say(line: str) -> None:
        if not quiet:
            with suppress(OSError):  # a promotion outlives who reads of it
                print(time.strftime("%H:%M:%S"), visible_lines(line), flush=True)

    with methods.imports() if allow_import else nullcontext():
        outcome = run_promotion(
            folder.name, asked=asked, workers=workers, again=again, allow_changed=allow_changed, places=places, say=say
        )
    if outcome.exit_code == exit_code(signal.SIGTERM):
        os.kill(os.getpid(), signal.SIGTERM)
    return Promoted(outcome)


def _html(table: pd.DataFrame) -> str:
    from searchplat.api.search import html_table

    rows = [["" if item != item else str(item) for item in row] for row in table.itertuples(index=False)]
    return html_table([str(name) for name in table.columns], rows)
