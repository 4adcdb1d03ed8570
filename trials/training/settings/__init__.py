"""What can be set of a training: the one loop's settings, their ranges, and which bound each other. Loads no torch."""
