"""How good lists are: where targets stand, metrics of that, of what lists are like, and for groups of targets and users."""
