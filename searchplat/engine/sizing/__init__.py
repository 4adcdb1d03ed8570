"""How much of a machine a trial takes: the cost of a stage's trials, measured, and the share that ends most an hour."""
