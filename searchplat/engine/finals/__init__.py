"""The training of a promotion's candidates, on Ray Train."""
