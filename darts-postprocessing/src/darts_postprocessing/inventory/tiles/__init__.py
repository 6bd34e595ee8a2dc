"""Tiles that were mapped: which there are and count, and their objects and looks in the plane (level 1)."""
