"""One small world for all tests, because making it takes a second."""

import cv2
import pytest
import torch

from darts.demo.world.make import World, make_world

cv2.setNumThreads(1)
torch.set_num_threads(1)

SEED, SIZE = 11, 320


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(SEED, SIZE)
