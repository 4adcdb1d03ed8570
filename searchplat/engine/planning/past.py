"""What a search knows of other searches, `past` of its stages' searchers: read once, at its start, into its own ledger.

A search that is resumed then suggests what it would have suggested anyway, even if the others have grown since or are
gone. All parameters of a trial are kept, so that a wider space finds the values of those that are new to it. A ledger
from before there was a past has none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from searchplat.contract import Values
from searchplat.errors import InputError
from searchplat.ledger import Ledger, Report, TrialRecord
from searchplat.ledger.database import from_text, to_text
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.ranking import improves
from searchplat.searchers import SEARCHERS, check_options, takes_past
from searchplat.searchers.contract import TrialState
from searchplat.searchers.options import Source, WithPast
from searchplat.searchers.transfer import SourceTask, SourceTrial, within
from searchplat.spec import from_document
from searchplat.spec.errors import show
from searchplat.spec.grammar import NAME
from searchplat.spec.model import VALID, Objective, SearcherSpec, SearchSpec, StageSpec
from searchplat.spec.space import Layout, Space

_META = "past"

Past = Mapping[str, Sequence[SourceTask]]
"""Source tasks by the stage that learns from them."""


def with_past(spec: SearchSpec, words: Sequence[str]) -> SearchSpec:
    """The search, of which every stage whose searcher can also learns from these: `SEARCH` or `SEARCH/STAGE`.

    Raises:
        InputError: If no stage's searcher can.
    """
    if not words:
        return spec
    able = [name for name in SEARCHERS if takes_past(name)]
    if not any(stage.searcher.name in able for stage in spec.stages):
        own = ", ".join(f"{stage.name} by {stage.searcher.name}" for stage in spec.stages)
        raise InputError(
            f"--past: only the searcher {' or '.join(able)} learns from other searches, and none of the stages is "
            f"searched by it ({own}); choose another searcher, or leave --past out"
        )
    for word in words:
        if not re.fullmatch(rf"{NAME}(/{NAME})?", word):
            raise InputError(
                f"--past: must be SEARCH or SEARCH/STAGE, got {show(word)}; `searchplat status` lists searches"
            )
    given = [
        word if "/" not in word else dict(zip(("search", "stage"), word.split("/", 1), strict=True)) for word in words
    ]
    named = _past_of(SearcherSpec(able[0], {"past": given}))
    stages = []
    for stage in spec.stages:
        if stage.searcher.name in able:
            both = dict.fromkeys((*_past_of(stage.searcher), *named))
            past = [one.search if one.stage is None else one.model_dump() for one in both]
            stage = replace(stage, searcher=SearcherSpec(stage.searcher.name, {**stage.searcher.options, "past": past}))
        stages.append(stage)
    return replace(spec, stages=tuple(stages), past=tuple(words))


def gather(spec: SearchSpec, root: Path, before: Ledger | None = None) -> Past:
    """Read what the stages of a search are to learn from.

    Args:
        spec: The search.
        root: The folder of all searches.
        before: The ledger of this search under another space, or of the one that it is a fork of: what it has read of
            the same sources for the same objectives is taken from there.

    Raises:
        InputError: If a search or a stage does not exist, or has no trial that this one can learn from.
    """
    found: dict[str, Sequence[SourceTask]] = {}
    for stage in spec.stages:
        sources = _past_of(stage.searcher)
        if not sources:
            continue
        if before is not None and before.objectives == spec.objectives and _same(stage, before):
            found[stage.name] = past_of(before, stage.name)
        else:
            tasks = [_read(source, stage, spec, root) for source in sources]
            # Named once as a search and once as its stage, it is still one source.
            found[stage.name] = tuple({(task.search, task.stage): task for task in tasks}.values())
    return found


def at_start(spec: SearchSpec, before: SearchFolder, say: Callable[[str], None]) -> Past:
    """What a search begins with, or goes on with in a wider space.

    Args:
        before: Of this search under another space, or of the one that it is a fork of; need not exist.
        say: Told a line for each source.
    """
    with before.read() if before.exists() else nullcontext() as ledger:
        past = gather(spec, before.path.parent, ledger)
    for line in _told(past, spec):
        say(line)
    return past


def keep(ledger: Ledger, past: Past) -> None:
    """Write down what was gathered, in place of what was there."""
    if past or ledger.meta(_META) is not None:
        tasks = {stage: [asdict(task) for task in own] for stage, own in past.items()}
        ledger.set_meta(_META, to_text(tasks))


def past_of(ledger: Ledger, stage: str) -> tuple[SourceTask, ...]:
    """What a stage learns from; nothing for a ledger that has none."""
    kept = from_text(ledger.meta(_META) or "{}").get(stage, ())
    return tuple(
        SourceTask(
            task["search"],
            task["stage"],
            tuple(SourceTrial(t["number"], t["values"], tuple(t["objectives"])) for t in task["trials"]),
        )
        for task in kept
    )


def _told(past: Past, spec: SearchSpec) -> Iterator[str]:
    stages = {stage.name: stage for stage in spec.stages}
    for name, tasks in past.items():
        for task in tasks:
            inside = len(within(task, spec.space.only(stages[name].over)).trials)
            yield f"stage {name} learns from {inside} of the {len(task.trials)} completed trials of {task.name}"


# ------------------------------------------------------------------ inside


def _past_of(searcher: SearcherSpec) -> tuple[Source, ...]:
    options = check_options(searcher)
    return options.past if isinstance(options, WithPast) else ()


def _same(stage: StageSpec, before: Ledger) -> bool:
    """Whether another ledger's stage of this name learns from the same."""
    other = next((one for one in from_document(before.document()).stages if one.name == stage.name), None)
    return other is not None and _past_of(other.searcher) == _past_of(stage.searcher)


def _read(source: Source, stage: StageSpec, spec: SearchSpec, root: Path) -> SourceTask:
    where = f"stage {stage.name!r}, past: search {source.search!r}"
    folder = SearchFolder(root, source.search)
    if not folder.exists():
        try:
            folder.check_exists()
        except InputError as error:
            raise InputError(f"stage {stage.name!r}, past: {error}; correct the name, or leave it out") from None
    with folder.read() as ledger:
        other = from_document(ledger.document())
        theirs = _stage_of(other, source.stage, stage, where)
        reports: dict[int, list[Report]] = {}
        for report in ledger.reports():
            reports.setdefault(report.trial, []).append(report)
        trials = []
        ended = [t for t in ledger.trials() if t.stage == theirs.name and t.state is TrialState.FINISHED]
        for trial in ended:
            objectives = _best(reports.get(trial.number, ()), spec.objectives)
            if objectives is not None:
                trials.append(SourceTrial(trial.number, _values(trial, other.space, spec.space), objectives))
    where = f"{where}, stage {theirs.name!r}"
    if not ended:
        raise InputError(f"{where}: has no trial that ran all its epochs; let it run first, or leave it out")
    if not trials:
        metrics = ", ".join(one.metric for one in spec.objectives)
        names = {name for one in ended for report in reports.get(one.number, ()) for name in report.metrics}
        reported = ", ".join(sorted(name for name in names if name.startswith(VALID))) or "no validation metric"
        raise InputError(
            f"{where}: none of its {len(ended)} completed trials reported {metrics}, by which this search ranks; they "
            f"have {reported}; leave it out"
        )
    task = SourceTask(source.search, theirs.name, tuple(trials))
    space = spec.space.only(stage.over)
    if not within(task, space).trials:
        first = trials[0]
        refusals = [
            f"{name}: {reason}, got {show(first.values[name])}"
            for name in space.names
            if name in first.values and (reason := space[name].refusal(first.values[name]))
        ]
        raise InputError(
            f"{where}: none of its {len(trials)} completed trials lies in the space of this stage "
            f"(trial {first.number}: {'; '.join(refusals) or 'has no parameter of it'}); widen an axis, or leave it out"
        )
    return task


def _stage_of(other: SearchSpec, name: str | None, stage: StageSpec, where: str) -> StageSpec:
    """The stage to learn from: that which was named, else of those that search most of the same the last."""
    names = ", ".join(one.name for one in other.stages)
    if name is not None:
        found = next((one for one in other.stages if one.name == name), None)
        if found is None:
            raise InputError(f"{where}: has no stage {name!r}; its stages are {names}")
        return found
    shared = {one.name: len(set(one.over) & set(stage.over)) for one in other.stages}
    most = max(shared.values())
    if not most:
        raise InputError(
            f"{where}: none of its stages ({names}) searches a parameter of this one ({', '.join(stage.over)}); "
            "name a stage, {search: ..., stage: ...}, or leave it out"
        )
    alike = [one for one in other.stages if shared[one.name] == most]
    return next((one for one in alike if one.name == stage.name), alike[-1])


def _values(trial: TrialRecord, theirs: Space, ours: Space) -> Values:
    """Whatever the trial was trained with, but for parameters that were not there and layouts of another meaning."""
    kept: Values = {}
    for name, value in trial.config.items():
        if name in theirs and not theirs.active(theirs[name], trial.config):
            continue
        if name in ours and name in theirs and not _alike(theirs[name], ours[name]):
            continue
        kept[name] = value
    return kept


def _alike(theirs: object, ours: object) -> bool:
    """Whether bits mean the same, where one of the two is a layout."""
    if isinstance(theirs, Layout) and isinstance(ours, Layout):
        return (theirs.roles, theirs.choices) == (ours.roles, ours.choices)
    return not isinstance(theirs, Layout) and not isinstance(ours, Layout)


def _best(reports: Sequence[Report], objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """The objectives at the epoch that counts; None if no epoch has them all."""
    best: tuple[float, ...] | None = None
    for report in reports:
        values = tuple(report.metrics.get(one.metric, math.nan) for one in objectives)
        if all(map(math.isfinite, values)) and improves(values, best, objectives):
            best = values
    return best
