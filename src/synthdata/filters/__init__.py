"""Which generated images are kept: score, then decide."""
