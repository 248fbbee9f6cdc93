"""A run of the series: its plan, its notebooks, its records."""
