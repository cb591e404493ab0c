"""Pure functions on features and boxes."""
