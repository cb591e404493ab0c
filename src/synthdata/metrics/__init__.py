"""Pure functions on features and boxes."""

from synthdata.metrics.manifold import ManifoldScores, manifold_scores

__all__ = ["ManifoldScores", "manifold_scores"]
