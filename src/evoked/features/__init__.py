"""Features: what a model may look at, computed in batches and cached."""
