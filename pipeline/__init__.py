"""The machinery that the notebooks call: Spark, parsing, rolling kernels, publishing, forecasts and the runner."""
