"""Searches that begin with trials: opened again, forked from another, or gone on with in a wider space."""
