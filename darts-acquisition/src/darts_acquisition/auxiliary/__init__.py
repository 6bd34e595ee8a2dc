"""Auxiliary layers from datacubes: elevation and vegetation trends."""
