"""Which images and videos go together: N x M pairs, best first, from evidence alone."""
