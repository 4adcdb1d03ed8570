"""A method that no package offers: it is named `loose_method:Loose`, which needs leave."""

from __future__ import annotations

from rehearsal import Rehearsal


class Loose(Rehearsal):
    name = "loose"


NO_METHOD = "a text"
