"""Sentinel-2 scenes, whatever catalogue they come from: search, raw store, scaling, tiles."""
