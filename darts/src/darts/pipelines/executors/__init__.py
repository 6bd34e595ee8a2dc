"""Executors: ways to bring tiles through the stages."""
