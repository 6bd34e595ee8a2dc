"""Questions about speed and memory, one a file; `uv run python -m benchmarks` asks all that end in a table of ratios.

Two more stand alone, because they need much disk or time: `benchmarks.planet_orthotile`, `benchmarks.training_patches`.
"""
