"""Filters: score -> decide, with the scores kept and a reason for each rejection."""
