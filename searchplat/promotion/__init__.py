"""Promotion: a search's winners raced on fresh seeds, trained in full, tested once, compared honestly.

Read `record` first: what promotion writes down, and by which rule it has a winner. `promote` runs it, `drive` says what
is trained next, `race` and `candidates` are its rules.
"""
