"""How good lists are: where targets stand, what lists are like, and both for groups of targets and users."""
