"""Real data: the embedded digits scenes, fetchers, checks, splits."""
