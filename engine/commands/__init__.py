"""The table of commands of `python -m engine`: one drawer each, with add_arguments(parser) and run(options).

Names only: `__main__` imports the one drawer that is asked for, because inspect must start fast and never load torch.
"""

COMMANDS = ("compress", "inspect", "survey", "doctor", "compare", "check")
