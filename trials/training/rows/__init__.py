"""Which rows an epoch trains on: windows of sequences, targets drawn of them, rows of similar length together."""
