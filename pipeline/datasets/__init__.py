"""What the published datasets are, and how they are published."""
