"""Posts: what they are, how they are read in, kept and made."""
