"""Language models of the BERT family."""
