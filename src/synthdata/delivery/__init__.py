"""A finished run's detector, for use: found, run on images, exported, with a model card."""
