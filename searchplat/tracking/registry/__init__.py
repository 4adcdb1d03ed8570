"""Winners as registered models, and how they answer."""
