"""What became of paid pairs, held against their scores; and tolerances learned from it."""
