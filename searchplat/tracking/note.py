"""The parent run's description: what is searched, how far it is, what to type next. Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from searchplat.ledger import Ledger, TrialRecord
from searchplat.protocol import rank_met, words
from searchplat.rivals import standing
from searchplat.searchers.contract import TrialState
from searchplat.tracking.address import redact
from searchplat.tracking.names import cut


def describe(ledger: Ledger, search: str, space_name: str, status: str, links: Sequence[str] = ()) -> str:
    """Describe a search as it stands.

    Args:
        status: MLflow's status of the parent run.
        links: Markdown paragraphs that stand below the first lines: pictures, where to go on.
    """
    trials = ledger.trials()
    objective = ledger.objectives[0]
    own = [trial for trial in trials if trial.control is None]
    options = _options(ledger.document())
    best: TrialRecord | None = None  # of the last stage that has one
    method = next((trial.method for trial in own), str(ledger.document().get("method", "a method")))
    lines = [
        f"**{search}** searches `{method}` on {_data(ledger.document())} for the "
        f"{'largest' if objective.maximize else 'smallest'} `{objective.metric}`, on validation data.",
        "",
        *([f"Ranked: {ranked}.", ""] if (ranked := words(rank_met(options, own[0].config if own else {}))) else []),
        f"Trials: {_counts(own)}. Controls: {_counts([t for t in trials if t.control is not None])}.",
    ]
    for link in links:
        lines += ["", link]
    for stage in dict.fromkeys(trial.stage for trial in own):
        if ranking := ledger.ranking(stage):
            lines += ["", f"Best of stage `{stage}` ({_share(ranking[0])} of the users): {_line(ranking[0], ledger)}"]
            lines += [f"- `{name}` = `{_value(value)}`" for name, value in sorted(ranking[0].values.items())]
            best = ranking[0]
    controls = ledger.ranking(controls=True)
    if stands := standing(best, controls, options, objective.maximize):
        lines += ["", f"The best is **{stands}**."]
    if controls:
        lines += ["", f"| control | {objective.metric} | users |", "|---|---|---|"]
        lines += [f"| {t.control} | {_number(t)} | {_share(t)} |" for t in controls]
    lines += ["", *_next(search, space_name, status)]
    return cut(redact("\n".join(lines)))


def _next(search: str, space_name: str, status: str) -> list[str]:
    if status == "FINISHED":
        return ["Next: retrain the winners, and test them once:", "", f"    searchplat promote {search}"]
    if status == "RUNNING":
        return ["Watch it:", "", f"    searchplat status {search}"]
    return ["It is not running. Go on from here:", "", f"    searchplat search {space_name} --name {search}"]


def _data(document: Mapping[str, Any]) -> str:
    data = document.get("data")
    name = data.get("name") if isinstance(data, Mapping) else data
    return f"`{name}`" if name else "its data"


def _options(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data set's, of a document that may be from a search without such."""
    data = document.get("data")
    found = data.get("options") if isinstance(data, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _counts(trials: Sequence[TrialRecord]) -> str:
    counts = Counter(trial.state for trial in trials)
    parts = [f"{counts[state]} {state}" for state in TrialState if counts[state]]
    return ", ".join(parts) or "none"


def _line(trial: TrialRecord, ledger: Ledger) -> str:
    values = ", ".join(
        f"`{objective.metric}` **{value:.4g}**"
        for objective, value in zip(ledger.objectives, trial.objectives or (), strict=True)
    )
    return f"trial {trial.number}, {values} at epoch {trial.best_epoch}"


def _number(trial: TrialRecord) -> str:
    return "-" if trial.objectives is None else f"{trial.objectives[0]:.4g}"


def _share(trial: TrialRecord) -> str:
    return f"{100 * trial.data_fraction:g} %"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
