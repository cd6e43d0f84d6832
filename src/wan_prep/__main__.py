"""`python -m wan_prep` is `wan-prep`."""

from wan_prep.cli import main

main()
