"""What a run tells people: `report.html` and what stands in it."""
