import numpy as np
import pytest

from darts_utils.objects.core_mean import core_mean


def test_the_core_is_the_part_above_the_75th_percentile():
    assert core_mean(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])) == pytest.approx(0.75)


@pytest.mark.parametrize("values", [[0.6], [0.6, 0.6, 0.6], [0.2, 0.6, 0.6, 0.6]])
def test_where_the_highest_value_is_wide_it_is_the_core(values):
    assert core_mean(np.array(values)) == pytest.approx(0.6)


def test_a_rim_of_doubt_changes_little():
    sure = np.linspace(0.8, 0.95, 40)
    assert core_mean(np.append(sure, np.full(40, 0.51))) > 0.9
