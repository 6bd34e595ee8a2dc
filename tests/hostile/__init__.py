"""Hundreds of runs over spoiled inputs: none may end in a traceback, a hang, or a wrong result in silence."""
