"""Find the bodies in a picture, reject implausible ones, and follow one subject through time."""
