"""From published files to interactions: one module a format, and the rules that all of them keep."""
