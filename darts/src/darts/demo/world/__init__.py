"""A seeded Arctic world: its land, slumps, sky and images, and how it is written in the formats of the real thing."""
