"""Models that travel: to ONNX, JSON, scikit-learn and SQL. Each is one file and one function of a `Linear`."""
