"""Where slumps are many, and how much ground was looked at: sums over cells, regions and latitudes."""
