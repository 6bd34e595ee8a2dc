"""Config files: what they may say, what they say, what is wrong with it, and where each value comes from."""
