"""The configurations of a stage as a model of its trials sees them: for `searchplat best --model` and Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchplat.engine.planning.by_model import in_order
from searchplat.engine.planning.plan import Plan
from searchplat.errors import InputError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.views.snapshot import Snapshot

if TYPE_CHECKING:
    from searchplat.searchers.estimates import Estimate


@dataclass(frozen=True)
class Believed:
    """What a model says of a stage.

    Args:
        stage: Its name.
        trials: Its configurations, best first by the model.
        estimates: By trials' numbers.
    """

    stage: str
    trials: list[TrialRecord]
    estimates: Mapping[int, Estimate]


def by_model(snapshot: Snapshot, ledger: Ledger, stage: str | None = None) -> Believed:
    """The configurations of a stage, by default of the last that has values, best first by the model.

    Raises:
        InputError: If there are several objectives, no such stage, or nothing that a model could be made of.
    """
    spec = snapshot.spec
    if len(spec.objectives) > 1:
        raise InputError(f"--model: its estimate is that of one objective, not {len(spec.objectives)}; leave it out")
    known = [one.name for one in spec.stages]
    if stage is not None and stage not in known:
        raise InputError(f"--stage: must be one of {', '.join(known)}, got {stage!r}; correct the name")
    valued = [name for name in known if snapshot.ranking.configurations(1, stage=name)]
    name = stage or (valued[-1] if valued else known[-1])
    found = Plan.of(spec, ledger).estimates(name) if name in valued else {}
    if not found:
        raise InputError(
            f"--model: no model can tell the trials of stage {name} apart: they are too few, have equal values, or "
            "differ in nothing that is searched; leave it out, or name another --stage"
        )
    return Believed(name, in_order(snapshot.ranking.configurations(None, stage=name), found, spec.objectives), found)
