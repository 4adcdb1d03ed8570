"""Hyperparameter and architecture search on Ray for recommenders built on language models.

From Python: `search` runs one, `Search` opens one that was run, `Study` suggests to a loop of your own; see
docs/python.md. Start reading at `searchplat.spec` (what a search is), then `searchplat.ledger` (what happened), then
`searchplat.engine` (how it runs). `import searchplat` loads none of torch, ray, mlflow and pandas: names load on use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from searchplat.api.running import search
    from searchplat.api.search import Search
    from searchplat.api.study import Study
    from searchplat.api.trial import Trial
    from searchplat.errors import SearchplatError

__version__ = "0.1.0"

__all__ = ["Search", "SearchplatError", "Study", "Trial", "__version__", "search"]

_HOMES = {
    "Search": "searchplat.api.search",
    "SearchplatError": "searchplat.errors",
    "Study": "searchplat.api.study",
    "Trial": "searchplat.api.trial",
    "search": "searchplat.api.running",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
