"""What a trial's report means: it is recorded, scored, and the trial goes on or is stopped early."""
