"""Model files on the command line: listed, shown, packed, checked, converted, exported, fetched."""
