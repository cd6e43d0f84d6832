"""Media files: what they are, and their pictures, upright and with exact times."""
