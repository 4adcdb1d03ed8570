"""What a trained model recommends to all users of its data set, as one file."""
