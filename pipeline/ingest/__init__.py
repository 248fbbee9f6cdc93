"""01: from CSVs to the datasets `prices`, `symbols` and `quarantine`."""
