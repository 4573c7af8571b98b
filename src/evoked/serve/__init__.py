"""The desk: a page to work at in the browser, and an interface for programs (evoked serve)."""
