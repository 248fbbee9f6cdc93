"""Every published forecast of a next day, kept, and scored when the day has come."""
