"""The published datasets for SQL: a DuckDB file, tables in PostgreSQL."""
