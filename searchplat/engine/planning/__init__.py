"""What a search does next: its plan, with seeds and first points, suggestions made ahead, and when a stage closes."""
