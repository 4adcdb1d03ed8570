"""The parent run's description: what is searched, how far it is, what to type next. Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from searchplat import hints
from searchplat.ledger import Ledger, TrialRecord
from searchplat.ledger.outcomes import NONE_KEPT, broken_words
from searchplat.ledger.ranking import Ranking
from searchplat.protocol import words
from searchplat.searchers.contract import TrialState
from searchplat.tracking.store.address import redact
from searchplat.tracking.store.keys import cut

_FRONT = 8
"""Trials of a Pareto front that are named."""


def describe(ledger: Ledger, search: str, go_on: str, status: str, links: Sequence[str] = ()) -> str:
    """Describe a search as it stands.

    Args:
        go_on: The command that goes on with it.
        status: MLflow's status of the parent run.
        links: Markdown paragraphs that stand below the first lines: pictures, where to go on.
    """
    trials = ledger.trials()
    goals = " and ".join(f"the {'largest' if o.maximize else 'smallest'} `{o.metric}`" for o in ledger.objectives)
    ranking = Ranking.of(ledger)
    own = [trial for trial in trials if trial.control is None]
    method = next((trial.method for trial in own), str(ledger.document().get("method", "a method")))
    lines = [
        f"**{search}** searches `{method}` on {_data(ledger.document())} for {goals}, on validation data.",
        "",
        *([f"Ranked: {ranked}.", ""] if (ranked := words(ranking.rank_met)) else []),
        f"Trials: {_counts(own)}. Controls: {_counts([t for t in trials if t.control is not None])}.",
    ]
    for link in links:
        lines += ["", link]
    if front := ranking.front():
        what = f"Pareto front, {len(front)} of" if ranking.several else "Best of"
        lines += ["", f"{what} the trials on {_share(front[0])} of the users, which compare:"]
        lines += [f"- {_line(trial, ledger, ranking)}" for trial in front[:_FRONT]]
        lines += [f"- and {len(front) - _FRONT} more"] if len(front) > _FRONT else []
    for stage in dict.fromkeys(trial.stage for trial in own):
        if best := ranking.best(1, stage=stage):
            lines += [
                "",
                f"Best of stage `{stage}` ({_share(best[0])} of the users): {_line(best[0], ledger, ranking)}",
            ]
            lines += [f"- `{name}` = `{_value(value)}`" for name, value in sorted(best[0].values.items())]
    if stands := ranking.not_beaten:
        lines += ["", f"The best is **{stands}**."]
    if ranking.controls:
        lines += ["", f"| control | {' | '.join(o.metric for o in ledger.objectives)} | users |"]
        lines += [f"|---|---|{'---|' * len(ledger.objectives)}"]
        lines += [f"| {t.control} | {' | '.join(_numbers(t))} | {_share(t)} |" for t in ranking.controls]
    if ledger.bounds:
        texts = ", ".join(f"`{bound.text}`" for bound in ledger.bounds)
        kept = sum(not trial.broken for trial in ranking.ranked)
        none = "" if kept or not ranking.ranked else f" **{NONE_KEPT}**."
        lines += ["", f"Bounds on outcomes: {texts}; {kept} of {len(ranking.ranked)} configurations keep them.{none}"]
    lines += ["", *_next(ledger, search, go_on, status)]
    return cut(redact("\n".join(lines)))


def _next(ledger: Ledger, search: str, go_on: str, status: str) -> list[str]:
    if status == "FINISHED":
        return [
            "Next: retrain the winners, and test them once:",
            "",
            f"    {hints.promotes(ledger, search, here=False)}",
        ]
    if status == "RUNNING":
        return ["Watch it:", "", f"    {hints.on_search('status', search, ledger.path.parent.parent, here=False)}"]
    return ["It is not running. Go on from here:", "", f"    {go_on}"]


def _data(document: Mapping[str, Any]) -> str:
    data = document.get("data")
    name = data.get("name") if isinstance(data, Mapping) else data
    return f"`{name}`" if name else "its data"


def _counts(trials: Sequence[TrialRecord]) -> str:
    counts = Counter(trial.state for trial in trials)
    parts = [f"{counts[state]} {state}" for state in TrialState if counts[state]]
    return ", ".join(parts) or "none"


def _line(trial: TrialRecord, ledger: Ledger, ranking: Ranking) -> str:
    values = ", ".join(
        f"`{objective.metric}` **{value:.4g}**"
        for objective, value in zip(ledger.objectives, trial.objectives or (), strict=True)
    )
    count = len(ranking.trainings[trial.number].numbers)
    where = f"over {count} trainings" if count > 1 else f"at epoch {trial.best_epoch}"
    breaks = f", which {words}" if (words := broken_words(trial.broken)) else ""
    return f"trial {trial.number}, {values} {where}{breaks}"


def _numbers(trial: TrialRecord) -> list[str]:
    return [f"{value:.4g}" for value in trial.objectives or ()]


def _share(trial: TrialRecord) -> str:
    return f"{100 * trial.data_fraction:g} %"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
