"""What happened in a search: the ledger, the trials in it, and which of them compare."""

from searchplat.ledger.ledger import Ledger
from searchplat.ledger.records import Event, Report, TrialRecord

__all__ = ["Event", "Ledger", "Report", "TrialRecord"]
