"""Encoders of images to feature vectors."""
