"""Promotion: a search's winners raced on fresh seeds, trained in full, tested once, compared honestly.

Read `record` first: what promotion writes down. `promote` runs it, `race` and `candidates` are its rules.
"""
