"""Patches chosen, and written in one step."""
