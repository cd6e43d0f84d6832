"""Files by address, fetched to this machine for as long as they are looked at."""
