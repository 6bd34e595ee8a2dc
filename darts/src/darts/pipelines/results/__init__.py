"""What is kept and said of results: records, fingerprints, which tiles are done."""
