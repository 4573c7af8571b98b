"""Posts: their schema, importing, storage, protection and synthesis."""
