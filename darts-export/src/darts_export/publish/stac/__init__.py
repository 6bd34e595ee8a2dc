"""The STAC catalogue of a publication: a collection of mosaic tiles, and one of the models that made them."""
