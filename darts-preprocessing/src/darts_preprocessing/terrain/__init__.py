"""Bands that are made of elevation: slope and its kin from nine cells, relative elevation from a disk around each."""
