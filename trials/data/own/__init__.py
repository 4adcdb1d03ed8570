"""Data of one's own: a file of interactions whose columns a space file names, without code."""
