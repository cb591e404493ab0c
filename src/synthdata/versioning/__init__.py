"""Dataset versions: arms on disk, data cards, DVC, comparison."""
