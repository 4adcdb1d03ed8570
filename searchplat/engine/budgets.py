"""How many trials each stage gets."""

from __future__ import annotations

from searchplat.spec.model import SearchSpec


def share_out(spec: SearchSpec, total: int | None) -> dict[str, int]:
    """Trials of each stage, `total` of all together: fewer than planned in proportion, more for the last one.

    Args:
        total: None for what the file plans.
    """
    planned = {stage.name: stage.trials for stage in spec.stages}
    everything = sum(planned.values())
    if total is None or total == everything:
        return planned
    if total > everything:
        planned[spec.stages[-1].name] += total - everything
        return planned
    # Largest remainders, so that the shares add up; a stage that others build on needs at least one trial.
    shares = {name: trials * total / everything for name, trials in planned.items()}
    budgets = {name: max(1, int(share)) for name, share in shares.items()}
    for name in sorted(shares, key=lambda name: int(shares[name]) - shares[name]):
        if sum(budgets.values()) >= total:
            break
        budgets[name] += 1
    return budgets
