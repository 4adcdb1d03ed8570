"""Where MLflow is, how it is opened, and how things are called there."""
