"""Answers from a trained model over HTTP.

Needs neither Spark nor Java nor the notebooks, only serving/requirements.txt.
"""
