"""Building patch sets from annotated images."""
