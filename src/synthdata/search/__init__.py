"""`synthdata search`: recipes are tried on val with development seeds; test stays closed.

`space` says what a recipe is, `draw` draws recipes, `study` remembers what was measured, `rungs`
trains them by the ordinary stages and halves them, `twins` and `best` write what comes of it as a
config, and `run` is the command.
"""
