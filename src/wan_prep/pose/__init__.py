"""Finding one body in a picture, doubting it, and following it through time."""
