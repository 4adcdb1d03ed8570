"""A search that was started, from Python: the same answers as `best`, `trials`, `status`, `report`, and `compare`."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchplat import arguments, paths
from searchplat.api.page import Page
from searchplat.api.trial import Trial, trial_in
from searchplat.errors import InputError
from searchplat.export import frame
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder, runs_root
from searchplat.ledger.outcomes import NONE_KEPT, broken_words
from searchplat.promotion.statistics import TestName
from searchplat.spec import from_document
from searchplat.views import TOP, text
from searchplat.views.belief import by_model
from searchplat.views.choice import best_trials, no_best
from searchplat.views.snapshot import Snapshot, take
from searchplat.views.standing import standing

if TYPE_CHECKING:
    import pandas as pd

    from searchplat.api.promoted import Comparison, Promoted


class Search:
    """A search that has ended, was interrupted, or runs in another process. Everything but `promote` only reads.

    Nothing is kept: every answer is of the moment at which it is asked for.

    Args:
        name: The search's, `darec-quick`; or a study's, see `searchplat.Study`.
        runs: The folder of all searches; default `SEARCHPLAT_RUNS`, else `./runs`.

    Raises:
        InputError: If there is no such search; the text lists those that there are.
    """

    def __init__(self, name: str, *, runs: Path | str | None = None) -> None:
        self._folder = SearchFolder(runs_root() if runs is None else paths.resolve(runs, "runs"), name)
        self._folder.read().close()

    @property
    def name(self) -> str:
        """The search's name."""
        return self._folder.name

    @property
    def folder(self) -> Path:
        """Where it is kept: `runs/NAME`."""
        return self._folder.path

    @arguments.named_as_arguments
    def best(self, n: int = 1, *, by: str | None = None, stage: str | None = None, model: bool = False) -> list[Trial]:
        """The best trials, best first, as `searchplat best` has them: those first that keep all bounds on outcomes.

        The first is not `feasible` only where none is.

        Args:
            n: How many at most, >= 1.
            by: An objective that counts alone; by default all do, and the Pareto front comes first.
            stage: Of this stage alone.
            model: By what a model of the stage's trials (by default of the last stage with values) says that each
                configuration is worth without its noise, as `searchplat best --model`.

        Raises:
            SearchFailedError: If none has a value.
            InputError: If there is no such objective or stage, or nothing that a model could be made of.
        """
        n = arguments.whole("n", n, 1)
        if model:
            if by is not None:
                raise InputError("model: ranks by its own estimate; give it without by")
            with self._read() as ledger:
                snapshot = take(self.name, self.folder, ledger)
                return [trial_in(snapshot, record) for record in by_model(snapshot, ledger, stage).trials[:n]]
        snapshot = self._snapshot()
        ranked = best_trials(snapshot, n, stage=stage, by=by)
        if not ranked:
            raise no_best(snapshot, stage)
        return [trial_in(snapshot, record) for record in ranked]

    @arguments.named_as_arguments
    def front(self, *, stage: str | None = None) -> list[Trial]:
        """The Pareto front: the trials that no other dominates, in the order of `best`; for one objective the best.

        Args:
            stage: Of this stage alone.

        Raises:
            SearchFailedError: If none has a value.
            InputError: If there is no such stage.
        """
        snapshot = self._snapshot()
        if not best_trials(snapshot, 1, stage=stage):
            raise no_best(snapshot, stage)
        return [trial_in(snapshot, record) for record in snapshot.ranking.front(stage)]

    def trials(self) -> pd.DataFrame:
        """A row a trial, controls included: the table of `searchplat export`, with `number` in place of `trial`.

        Columns: `number`, `stage`, `control`, `method`, `state`, `epochs`, `seconds`, `seed`, `data_fraction`,
        `repeats`, `retries`, `widened`, `cause`, `value.<metric>` of each objective, `outcome.<metric>` of each bounded
        metric and `violation` where there are bounds, `param.<name>` of each searched value, `config.<name>` of the
        whole configuration. Their types do not depend on what is in them.
        """
        with self._read() as ledger:
            return frame(ledger, from_document(ledger.document())).rename(columns={"trial": "number"})

    def curves(self) -> pd.DataFrame:
        """A row for each metric of each epoch of each trial: `number`, `stage`, `epoch`, `metric`, `value`."""
        import pandas as pd

        with self._read() as ledger:
            stages = {trial.number: trial.stage for trial in ledger.trials()}
            rows = [
                (report.trial, stages[report.trial], report.epoch, metric, value)
                for report in ledger.reports()
                for metric, value in report.metrics.items()
                if report.trial in stages
            ]
        table = pd.DataFrame(rows, columns=["number", "stage", "epoch", "metric", "value"])
        return table.astype(
            {"number": "int64", "stage": "string", "epoch": "int64", "metric": "string", "value": "float64"}
        )

    def status(self) -> dict[str, Any]:
        """How it stands, as `searchplat status NAME --json`: `state` is `running`, `paused` or `done`, and so on."""
        return standing(self._folder).document()

    def report(self) -> Page:
        """The page that `searchplat report` writes, as it is now; shows itself in a notebook."""
        from searchplat.report.file import page_of

        return Page(self.name, page_of(self._folder))

    @arguments.named_as_arguments
    def compare(
        self,
        *others: Search | str,
        against: tuple[str, ...] = (),
        test: TestName = "t",
        alpha: float = 0.05,
        all_candidates: bool = False,
    ) -> Comparison:
        """Compare promoted searches, as `searchplat compare`.

        Args:
            others: Searches, or names of such in the same folder.
            against: Rows to test against, beside the best control.
            test: The paired test that marks follow: `t`, `wilcoxon` or `bootstrap`.
            alpha: Level of significance, in (0, 1).
            all_candidates: Also those that did not win.

        Raises:
            InputError: If one was not promoted, is of another folder, or a value is not allowed.
        """
        from searchplat.api.promoted import Comparison
        from searchplat.promotion.compared import compared

        arguments.several("against", against, str, "['sasrec']")
        root = self.folder.parent
        for other in others:
            if isinstance(other, Search) and other.folder.parent != root:
                raise InputError(f"compare: {other.folder} is not in {root}; searches of one folder compare")
        names = [self.name, *(other.name if isinstance(other, Search) else other for other in others)]
        table = compared(root, names, against=against, test=test, alpha=alpha, all_candidates=all_candidates)
        return Comparison(table)

    @arguments.named_as_arguments
    def promote(
        self,
        *,
        top: int | None = None,
        by: str | None = None,
        trials: Sequence[int] | None = None,
        seeds: int | None = None,
        epochs: int | None = None,
        race: int | None = None,
        workers: int = 1,
        again: bool = False,
        allow_changed: bool = False,
        address: str | None = None,
        insecure_cluster: bool = False,
        tracking_uri: str | None = None,
        storage: str | None = None,
        allow_import: bool = False,
        quiet: bool = False,
    ) -> Promoted:
        """Train the winners in full and test each training once, as `searchplat promote`; returns when that is done.

        Args:
            top, seeds, epochs, race: Instead of the space's `promotion:`.
            by: An objective that decides alone.
            trials: Numbers of the trials to promote instead of the best, such as those of `front` that suit.
            workers: Processes that train each final run together.
            again: Promote once more; counts, and says so, that the test split was seen.
            allow_changed: Go on although data, code or packages are not those of the search.
            address, insecure_cluster, tracking_uri, storage, allow_import, quiet: See `searchplat.search`.

        Raises:
            InputError: If the input is wrong, the search cannot be promoted, or this process is connected to Ray.
            SearchFailedError: If no candidate could be trained.
            TryAgainError: If another process runs or promotes the search, Ray ended, or a disk is full.
        """
        from searchplat.api.promoted import promoted
        from searchplat.engine.places import Places
        from searchplat.promotion.candidates import Asked

        return promoted(
            self._folder,
            Asked(top=top, by=by, trials=trials, seeds=seeds, race=race, epochs=epochs),
            Places(address, insecure_cluster, tracking_uri, storage, self._folder.path.parent),
            workers=workers,
            again=again,
            allow_changed=allow_changed,
            allow_import=allow_import,
            quiet=quiet,
        )

    def __repr__(self) -> str:
        return f"Search({self.name!r}, runs={str(self.folder.parent)!r})"

    def _repr_html_(self) -> str:
        """The best trials, for a notebook."""
        one = standing(self._folder)
        snapshot = one.snapshot
        ranked = best_trials(snapshot, TOP)
        params = list(dict.fromkeys(key for record in ranked for key in trial_in(snapshot, record).params))
        head = ["trial", "stage", *snapshot.metrics, *params, "time", *(["bounds"] if snapshot.spec.outcomes else [])]
        rows = []
        for record in ranked:
            trial = trial_in(snapshot, record)
            values = [text.metric(trial.values.get(metric, math.nan)) for metric in snapshot.metrics]
            own = [text.value(trial.params[key]) if key in trial.params else "" for key in params]
            kept = [broken_words(record.broken) or "kept"] if snapshot.spec.outcomes else []
            rows.append([str(trial.number), trial.stage, *values, *own, text.duration(trial.seconds), *kept])
        said = f"{snapshot.name}: {one.words}, {snapshot.ended} of {snapshot.planned} trials ended"
        none = f"<p>{_cell(NONE_KEPT)}.</p>" if ranked and ranked[0].broken else ""
        below = none + (f"<p>The best is {_cell(stands)}.</p>" if (stands := snapshot.ranking.not_beaten) else "")
        return f"<p>{_cell(said)}</p>{html_table(head, rows)}{below}"

    @contextmanager
    def _read(self) -> Iterator[Ledger]:
        with self._folder.read() as ledger:
            yield ledger

    def _snapshot(self) -> Snapshot:
        with self._read() as ledger:
            return take(self.name, self.folder, ledger)


def html_table(head: list[str], rows: list[list[str]]) -> str:
    """A table; what trials say is hostile, and escaped."""
    first = "".join(f"<th>{_cell(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{_cell(item)}</td>" for item in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table>"


def _cell(item: str) -> str:
    return html.escape(text.visible(item))
