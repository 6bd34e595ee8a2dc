"""A seeded Arctic sample world, written in the real formats, with two small models and the truth to compare with."""
