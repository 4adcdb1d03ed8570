"""Where trials' checkpoints are kept, for how long, and how they get to a storage that hosts do not share."""
