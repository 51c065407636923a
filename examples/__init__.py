"""One small app with its tests for each of the problems that the library solves."""
