"""Volume of a day from the two features of that day."""
