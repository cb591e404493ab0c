"""Will synthetic images make my detector better, and by how much?"""

from importlib.metadata import version

__version__ = version("synthdata")
