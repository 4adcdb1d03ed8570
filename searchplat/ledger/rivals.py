"""How a value stands against those of controls: the one sentence that every report shows.

A best that does not beat what was merely counted (popularity, markov, ...) is no success, wherever one reads of it.
"""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 3


def not_beaten(value: float, controls: Iterable[tuple[str, float]], maximize: bool = True) -> str:
    """Which controls a value does not beat, the best first; empty where it beats them all.

    >>> not_beaten(0.0239, [("popularity", 0.0198), ("markov", 0.0491)])
    'below the control markov (0.0491)'
    >>> not_beaten(0.02, [("default", 0.02)]), not_beaten(0.3, [("default", 0.2)])
    ('level with the control default (0.0200)', '')
    >>> not_beaten(3.0, [("a", 1.0), ("b", 2.0)], maximize=False)
    'above the controls a (1.0000), b (2.0000)'
    """
    sign = 1 if maximize else -1
    rivals = sorted(controls, key=lambda one: -sign * one[1])
    ahead = [one for one in rivals if sign * (one[1] - value) > 0]
    level = [one for one in rivals if one[1] == value]
    if not ahead and not level:
        return ""
    stands = ("below" if maximize else "above") if ahead else "level with"
    named = ahead or level
    listed = ", ".join(f"{name} ({figure:.4f})" for name, figure in named[:_MOST])
    more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
    return f"{stands} the control{'s' if len(named) > 1 else ''} {listed}{more}"
