"""MLflow: showing a search, never deciding anything. The only package that imports mlflow, and only when used.

The ledger's events are the outbox; `MlflowSink` is a consumer with a cursor in the ledger. Read, in
`sending`, `sink` (the thread), then `outbox` (events -> what to send), then `recorder` (sending it so that it may be
sent again).
"""

from searchplat.tracking.queries import RankedRun, best_trials
from searchplat.tracking.sending.sink import MlflowSink
from searchplat.tracking.store.address import DEFAULT_TRACKING_URI, redact

__all__ = ["DEFAULT_TRACKING_URI", "MlflowSink", "RankedRun", "best_trials", "redact"]
