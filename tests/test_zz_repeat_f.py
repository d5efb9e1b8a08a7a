import pytest
from tests import test_worker as w
from tests.test_worker import folder, place, supervisor, window  # noqa

@pytest.mark.parametrize("n", range(40))
@pytest.mark.parametrize("t", ["ctrl_c_ends_the_command_and_not_the_worker", "ctrl_z_stops_nothing", "what_a_person_types_goes_to_the_command", "term_ends_the_command_first"])
def test_r(t, n, supervisor, window):
    getattr(w, "test_" + t)(supervisor, window)
