"""Where MLflow is: a tracking URI made absolute, and a form of it without secrets that may be shown and stored."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote

from searchplat import paths
from searchplat.errors import InputError
from searchplat.redaction import hide
from searchplat.redaction import redact as redact  # part of this module's interface

DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"
VARIABLE = "MLFLOW_TRACKING_URI"

_SCHEMES = frozenset({"databricks", "databricks-uc", "http", "https", "mssql", "mysql", "postgresql", "sqlite", "uc"})
"""Those of MLflow's own stores."""
_PLUGINS = "mlflow.tracking_store"
"""MLflow's entry points of stores: packages offer further ones under the scheme's name."""

_PASSWORD = re.compile(r"://[^\s/?#\"':@]*:(?P<password>[^\s/?#\"']*)@")

_SQLITE = re.compile(r"sqlite(?:\+pysqlite)?:///(?P<path>[^?]+)(?P<options>\?.*)?")


def chosen_uri(given: str | None) -> str:
    """The store that a command uses: the one that it was given, else `MLFLOW_TRACKING_URI`, else a file.

    Returns:
        Its address, of which a relative file was made absolute; may hold a password.

    Raises:
        InputError: As `Address.parse`.
    """
    return Address.parse(given or os.environ.get(VARIABLE) or DEFAULT_TRACKING_URI).uri


@dataclass(frozen=True)
class Address:
    """One MLflow store.

    Args:
        uri: What MLflow gets; may hold a password, so it is neither printed nor stored.
        sqlite: The database's file, absolute; None for any other store.
    """

    uri: str = field(repr=False)
    sqlite: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read a tracking URI; a relative SQLite file is taken from the working directory, now and for ever.

        Raises:
            InputError: If it is a plain folder, which MLflow no longer writes, no URI at all, or MLflow has no such
                store.
        """
        if found := _PASSWORD.search(text):
            # Libraries take addresses apart, and an error may name the password alone.
            hide(found["password"])
            hide(unquote(found["password"]))
        if match := _SQLITE.fullmatch(text):
            if match["path"] == ":memory:":
                raise InputError(
                    f"tracking URI {text!r}: an in-memory database is gone with its process; name a file, "
                    f"such as {DEFAULT_TRACKING_URI}"
                )
            path = paths.resolve(unquote(match["path"]), "tracking URI")
            return cls(f"{paths.sqlite_uri(path)}{match['options'] or ''}", path)
        scheme = text.partition(":")[0]
        if scheme == "file" or ("://" not in text and scheme not in ("databricks", "databricks-uc", "uc")):
            raise InputError(
                f"tracking URI {redact(text)!r}: must name a database or a server, for MLflow no longer writes plain "
                f"folders; use {DEFAULT_TRACKING_URI} or http://HOST:PORT"
            )
        kind = scheme.lower().partition("+")[0]  # a database's driver stands behind the plus
        if kind not in _SCHEMES and scheme not in {plugin.name for plugin in entry_points(group=_PLUGINS)}:
            raise InputError(
                f"tracking URI {redact(text)!r}: MLflow has no store for {scheme}://, only for "
                f"{', '.join(sorted(_SCHEMES))} and what its plugins add; correct it, install the plugin, or use "
                f"{DEFAULT_TRACKING_URI}"
            )
        return cls(text)

    @property
    def shown(self) -> str:
        """The URI without secrets."""
        return redact(self.uri)

    @property
    def remote(self) -> bool:
        """Whether it is spoken to over HTTP."""
        return self.uri.startswith(("http://", "https://", "databricks"))
