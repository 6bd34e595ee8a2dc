"""Does inference do what it promises: measures of arrays, and checks that hold an engine to them."""
