"""New layouts: where the objects of an image that doesn't exist yet shall be."""

from synthdata.layout.run import make_layouts, sample_layouts

__all__ = ["make_layouts", "sample_layouts"]
