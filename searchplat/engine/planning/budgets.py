"""How many trials a search gets: as its file says, or as `--trials` and `searchplat set` have said since.

What was said is kept in the ledger, beside the space that the search was started with, which does not change by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from searchplat.ledger import Ledger
from searchplat.spec.model import SearchSpec

_TOTAL, _STAGES = "trials", "stage_trials"


def budgets(spec: SearchSpec, total: int | None, stages: Mapping[str, int] | None = None) -> dict[str, int]:
    """Trials of each stage.

    Args:
        total: Of all together; the file's own sum if None. Fewer are shared out in proportion, more go to the last
            stage.
        stages: Of single stages, instead.
    """
    return {**_shared_out(spec, total), **(stages or {})}


def recorded(spec: SearchSpec, ledger: Ledger) -> dict[str, int]:
    """What a search's ledger says."""
    total = ledger.meta(_TOTAL)
    return budgets(spec, int(total) if total else None, _stages(spec, ledger))


def record_total(ledger: Ledger, total: int) -> None:
    """All stages together get so many from now on; what was said of single ones is forgotten."""
    ledger.set_meta(_TOTAL, str(total))
    ledger.set_meta(_STAGES, "{}")


def forget(ledger: Ledger) -> None:
    """The space's own numbers hold from now on."""
    ledger.set_meta(_TOTAL, "")
    ledger.set_meta(_STAGES, "{}")


def record_stages(spec: SearchSpec, ledger: Ledger, stages: Mapping[str, int]) -> None:
    """These stages get so many from now on."""
    ledger.set_meta(_STAGES, json.dumps({**_stages(spec, ledger), **stages}, sort_keys=True))


def _stages(spec: SearchSpec, ledger: Ledger) -> dict[str, int]:
    said = json.loads(ledger.meta(_STAGES) or "{}")
    return {stage.name: said[stage.name] for stage in spec.stages if stage.name in said}


def _shared_out(spec: SearchSpec, total: int | None) -> dict[str, int]:
    planned = {stage.name: stage.trials for stage in spec.stages}
    everything = sum(planned.values())
    if total is None or total == everything:
        return planned
    if total > everything:
        planned[spec.stages[-1].name] += total - everything
        return planned
    # Largest remainders, so that the shares add up; a stage that others build on needs at least one trial.
    shares = {name: trials * total / everything for name, trials in planned.items()}
    found = {name: max(1, int(share)) for name, share in shares.items()}
    for name in sorted(shares, key=lambda name: int(shares[name]) - shares[name]):
        if sum(found.values()) >= total:
            break
        found[name] += 1
    while sum(found.values()) > max(total, len(found)):  # one at least was more than some stages' shares
        over = max((name for name in found if found[name] > 1), key=lambda name: found[name] - shares[name])
        found[over] -= 1
    return found
