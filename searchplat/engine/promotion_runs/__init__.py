"""The trainings of a promotion, race and finals, on Ray Train."""
