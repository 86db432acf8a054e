"""Who does the tasks. Adding one: copy `command.py`, a line in `plugins.BUILT_IN`, a parameter in the contract test."""
