"""Optical scenes: one module a source, with the raw store and the quality masks that they share."""
