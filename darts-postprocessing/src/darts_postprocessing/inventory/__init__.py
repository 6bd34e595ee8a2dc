"""From the objects of many images to slumps over years: levels 1 and 2, tracks, growth."""
