"""What runs in a trial's process."""

MAX_DEATHS = 3
"""Times that a trial, or a promotion's run, is taken up again after its worker died."""
