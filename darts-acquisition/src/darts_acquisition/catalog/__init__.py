"""Finding scenes: areas, periods and the catalogues that are searched with them."""
