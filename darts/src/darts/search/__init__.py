"""Which scenes there are, before anything is fetched or mapped."""
