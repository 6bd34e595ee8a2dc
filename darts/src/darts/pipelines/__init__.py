"""Pipelines: from scenes to mapped slumps."""
