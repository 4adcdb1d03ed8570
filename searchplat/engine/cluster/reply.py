"""What a trial's process, or the processes that train a trial together, answer to what the driver asked of them.

Of several processes each answers. They are one trial: it has reported when all have, and rank 0's report is taken; one
that failed or was lost speaks for all, as the others then wait for it in vain.
"""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

import ray
from ray.exceptions import RayError

from searchplat.engine.worker.messages import Message, Said

if TYPE_CHECKING:
    from ray import ObjectRef

_OTHERS_S = 3.0
"""Seconds that the others get to answer once one process has failed: one may know better, and all may agree."""
_DEATH_S = 30.0
"""The same once one says that it lost another: Ray tells of a process's death at once, of a host's within this time."""


class GroupLostError(RayError):  # type: ignore[misc]  # Ray is not typed
    """The processes of a trial have lost each other, and none has died."""


class Reply:
    """The reply to one question: a greeting, an epoch.

    Args:
        refs: Of what each process answers, by rank: JSON of a `Message`, or None.
    """

    def __init__(self, refs: Sequence[ObjectRef]) -> None:
        self.refs = tuple(refs)
        self._heard: dict[ObjectRef, str | RayError | None] = {}
        self._until: float | None = None

    @property
    def open(self) -> list[ObjectRef]:
        """Those that were not heard yet."""
        return [ref for ref in self.refs if ref not in self._heard]

    @property
    def unanimous(self) -> bool:
        """Whether all processes were heard, and go on together: none has failed."""
        return not self.open and not self._lost and all(kind in (None, Said.REPORT) for kind, _ in self._said())

    def hear(self, ready: Container[ObjectRef]) -> bool:
        """Take in what is ready; whether the group's answer is known.

        It is when all have answered, one was lost, or the time to wait for the others after a failure is over.
        """
        for ref in self.open:
            if ref in ready:
                self._heard[ref] = _got(ref)
        if not self.open or self._lost:
            return True
        failed = [kind for kind, _ in self._said() if kind not in (None, Said.REPORT)]
        if not failed:
            return False
        now = time.monotonic()
        if self._until is None or (self._until > now + _OTHERS_S and set(failed) != {Said.PARTNER_LOST}):
            self._until = now + (_DEATH_S if set(failed) == {Said.PARTNER_LOST} else _OTHERS_S)
        return now >= self._until

    def said(self) -> str | None:
        """What the trial says: JSON of a `Message`; None to a greeting.

        Raises:
            RayError: If a process of it was lost.
        """
        if lost := self._lost:
            raise lost[0]
        if len(self.refs) == 1:
            return self._text(self.refs[0])
        failed = [(kind, text) for kind, text in self._said() if kind not in (None, Said.REPORT)]
        if all(kind is Said.PARTNER_LOST for kind, _ in failed):
            if failed:
                raise GroupLostError(failed[0][1] or "")
            return self._text(self.refs[0])
        return next(text for kind, text in failed if kind is not Said.PARTNER_LOST)

    @property
    def _lost(self) -> list[RayError]:
        return [said for said in self._heard.values() if isinstance(said, RayError)]

    def _text(self, ref: ObjectRef) -> str | None:
        said = self._heard[ref]
        assert not isinstance(said, RayError)
        return said

    def _said(self) -> list[tuple[str | None, str | None]]:
        """Kind and text of what was heard, by rank."""
        texts = [self._text(ref) for ref in self.refs if ref in self._heard]
        return [(None if text is None else Message.from_json(text).kind, text) for text in texts]


def _got(ref: ObjectRef) -> str | RayError | None:
    try:
        said: str | None = ray.get(ref)
    except RayError as error:
        return error
    return said
