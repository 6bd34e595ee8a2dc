"""`darts validate-inference`: does inference with these models, on this machine, do what it promises on a scene."""
