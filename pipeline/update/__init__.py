"""Brings a folder of CSVs up to the last close, from NASDAQ's symbol directory and Yahoo's prices."""
