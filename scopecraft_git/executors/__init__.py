"""Where agents run. Adding one: copy `local.py`, a line in `plugins.BUILT_IN`, a parameter in the contract test."""
