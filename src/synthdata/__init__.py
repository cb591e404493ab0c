"""Will synthetic images make my detector better, and by how much?"""
