"""evoked: what a social-media post or ad evokes, and the engagement that follows."""

__version__ = "0.1.0"
