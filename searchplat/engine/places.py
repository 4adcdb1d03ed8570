"""Where a search and a promotion run, and where they keep what they find."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from searchplat.engine.cluster.auth import check_cluster
from searchplat.hints import TRACKING_URI
from searchplat.ledger import Ledger
from searchplat.ledger.folder import runs_root
from searchplat.tracking.store.address import chosen_uri, redact

_META = "places"


@dataclass(frozen=True)
class Places:
    """What the command line's options of these names say.

    Args:
        address: A Ray cluster; None starts Ray on this machine.
        insecure_cluster: Connect also to one on other machines that lets anybody in.
        tracking_uri: MLflow's; default `MLFLOW_TRACKING_URI`, else `sqlite:///mlflow.db`.
        storage: Where workers keep checkpoints, see `engine.checkpoints.storage`; by default that of the search, else
            `SEARCHPLAT_STORAGE`, else the search's folder.
        runs: The folder of all searches; default `SEARCHPLAT_RUNS`, else `./runs`.
    """

    address: str | None = None
    insecure_cluster: bool = False
    tracking_uri: str | None = None
    storage: str | None = None
    runs: Path | None = None

    @property
    def root(self) -> Path:
        """The folder of all searches."""
        return self.runs or runs_root()

    @property
    def mlflow(self) -> str:
        """MLflow's address."""
        return chosen_uri(self.tracking_uri)

    def cluster(self) -> str | None:
        """The Ray cluster's address.

        Raises:
            InputError: If it is not one, or lets anybody in and that is not allowed.
        """
        return check_cluster(self.address, self.insecure_cluster)

    def record(self, ledger: Ledger) -> None:
        """Keep the options of a command that goes on with a search there. Its storage a search remembers itself."""
        words = ["--address", self.address] if self.address is not None else []
        words += ["--insecure-cluster"] if self.insecure_cluster else []
        if redact(self.mlflow) == self.mlflow:  # else it is a secret
            words += [TRACKING_URI, self.mlflow]  # also the default, which is another one in another folder
        ledger.set_meta(_META, json.dumps(words))


HERE = Places()
"""This machine, and what the environment says."""


def recorded(ledger: Ledger) -> list[str]:
    """The options that `Places.record` kept."""
    words: list[str] = json.loads(ledger.meta(_META) or "[]")
    return words
