"""A plan becomes files: the only room that writes media. It decides nothing."""
