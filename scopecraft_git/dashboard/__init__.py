"""`git scopecraft dashboard`: every worktree and session on one screen, and keys to step in.

Textual is imported in here only, and neither pydantic nor a plugin before there is something to see.
"""
