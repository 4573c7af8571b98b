"""Posts and networks whose truth is known, made for demonstrations and tests."""
