"""A stand-in for the service, to rehearse submissions without paying. The adapter never uses it."""
