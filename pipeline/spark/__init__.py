"""Spark: its session, its Java, its tasks."""
