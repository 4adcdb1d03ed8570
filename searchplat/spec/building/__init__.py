"""From what was read to a `SearchSpec`: every part made typed and checked against the others and the method."""
