"""What is believed of the objective, of costs and of bounds on outcomes: Gaussian processes, and draws from them."""
