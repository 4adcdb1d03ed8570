"""What a search does next: its plan, the seeds and first points in it, suggestions computed ahead, and when a stage closes."""
