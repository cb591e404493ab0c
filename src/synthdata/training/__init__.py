"""Fitting the image generator."""
