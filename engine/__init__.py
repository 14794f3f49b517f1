"""The compressor: a pure library. Model in, model and report out; knows no web, queue, database or settings.

Import from its files (`from engine.compress import compress`); nothing is re-exported here, because a re-export would
pull torch into every process that reads `engine.recipe`.
"""
