"""02: the two moving features of each symbol."""
