"""Image generators behind one Protocol."""
