"""From the ledger to MLflow: what it must be told, sent again after any failure without changing anything."""
