"""Every error that searchplat raises on purpose.

SearchplatError
├── InputError            the user's input is wrong                       exit 2
│   ├── SpecError         one or more errors of a space file, each with its place
│   ├── AssetError        data or weights cannot be had, with every way to get them
│   └── DataError         a data file breaks its format
├── TestSplitError        code of a search reached for the test split       exit 1
├── SearchFailedError     the search ended without a usable result        exit 1
├── TrialFailedError      a trial's own program failed; others may not      exit 1
├── PartnerLostError      another process that trains the same model was lost; the training is taken up again
├── ExhaustedError        a study's space has no point left to try        exit 1
└── TryAgainError         nothing is wrong but the moment: disk full, a search already running    exit 75
    └── RayEndedError     Ray has ended under the command, or could not start
"""

from __future__ import annotations

import errno
from collections.abc import Sequence


class SearchplatError(Exception):
    """Base of all errors raised on purpose; its text is one sentence for a person."""

    exit_code = 1


class InputError(SearchplatError):
    """The input is wrong: says where, which rule, which value, what to do.

    Args:
        message: The sentence.
        fields: Fields of a method's config with other values of which the rule might be kept; none where it depends on
            none of them. A search that searches one of them goes on without the trial, any other ends.
    """

    exit_code = 2

    def __init__(self, message: str, *, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class AssetError(InputError):
    """Data or weights cannot be had; the text names every way to get them."""


class DataError(InputError):
    """A data file breaks its published format; the text names file and line."""


class TestSplitError(SearchplatError):
    """Code that is no promotion reached for the test split."""

    __test__ = False  # not a test of pytest's


class SearchFailedError(SearchplatError):
    """The search ended without a usable result."""

    exit_code = 1


class TrialFailedError(SearchplatError):
    """A trial's own program failed, which says nothing of the other trials."""


class PartnerLostError(SearchplatError):
    """Another of the processes that train one model together was lost: no fault of this one."""


class ExhaustedError(SearchplatError):
    """A study's space has no point left that was not tried."""


class TryAgainError(SearchplatError):
    """Nothing is wrong but the moment; the same command may work later."""

    exit_code = 75


class RayEndedError(TryAgainError):
    """Ray has ended under the command, or could not start."""


_BARRED = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG
)  # fmt: skip


def disk_full(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that a disk has no space left or a quota is used up."""
    met: BaseException | None = error
    seen: set[int] = set()  # `raise error from error`, which Ray does, leads back to itself
    while met is not None and id(met) not in seen:
        if isinstance(met, OSError) and met.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        seen.add(id(met))
        met = met.__cause__ or met.__context__
    return False


def barred(error: BaseException) -> str | None:
    """What to do where the system does not let this user use a file as what it should be; None for any other error."""
    if not isinstance(error, OSError) or error.filename is None or error.errno not in _BARRED:
        return None
    return (
        f"{error.filename}: {error.strerror}; see that it, and what is above it, is a file or folder as it should be "
        "that this user may read and write, or choose another place"
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of the machine or of its GPU, has run out.

    Torch is not imported here: its own error goes by its name, and what its allocator raises on a CPU, a plain
    `RuntimeError`, by its text.
    """
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
    )
