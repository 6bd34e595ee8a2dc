"""Whether a training set is whole and sound."""
