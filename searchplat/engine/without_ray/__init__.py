"""One configuration trained in this process and what workers it has: no Ray, no ledger."""
