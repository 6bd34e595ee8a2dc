"""Patch sets for training: built from labels and images, inspected."""
