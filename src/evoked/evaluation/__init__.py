"""How good predictions are: metrics, splits, intervals, tables."""
