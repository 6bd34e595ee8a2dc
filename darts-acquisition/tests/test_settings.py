"""Settings go with a run into its threads, and into no other run."""

import threading

import pytest

from darts_acquisition.services.endpoints import endpoint, set_endpoints
from darts_acquisition.services.network import check_allowed
from darts_acquisition.services.parallel import at_once
from darts_acquisition.services.settings import refusing
from darts_utils.errors import MissingDataError
from darts_utils.machine.threads import inherited


def test_two_runs_in_one_process_ask_each_their_own_addresses():
    both_set, asked = threading.Barrier(2), {}

    def run(number):
        set_endpoints(ee_url=f"http://127.0.0.1:{number}")
        both_set.wait(10)
        asked[number] = {*at_once(lambda _: endpoint("ee_url"), range(5), workers=3), endpoint("ee_url")}

    runs = [threading.Thread(target=run, args=(number,)) for number in (1, 2)]
    for one in runs:
        one.start()
    for one in runs:
        one.join(20)
    assert asked == {1: {"http://127.0.0.1:1"}, 2: {"http://127.0.0.1:2"}}
    assert endpoint("ee_url") == "https://earthengine.googleapis.com"


def test_a_thread_of_a_run_may_ask_no_more_than_the_run():
    refused = []

    def ask():
        try:
            check_allowed("catalogue")
        except MissingDataError as error:
            refused.append(str(error))

    with refusing("Stage it."):
        begun_in_it = threading.Thread(target=inherited(ask))
        another_run = threading.Thread(target=ask)
    for thread in (begun_in_it, another_run):
        thread.start()
        thread.join(10)
    assert refused == ["this would ask the catalogue, which an offline run does not. Stage it."]
    check_allowed("catalogue")


def test_what_is_inherited_may_run_in_several_threads_at_once():
    started, given = threading.Barrier(2), []
    set_endpoints(ee_url="http://127.0.0.1:3")

    def ask():
        started.wait(10)
        given.append(endpoint("ee_url"))

    function = inherited(ask)
    set_endpoints(ee_url=None)
    threads = [threading.Thread(target=function) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert given == ["http://127.0.0.1:3"] * 2


def test_what_fails_in_a_block_takes_its_settings_back():
    with pytest.raises(ZeroDivisionError), refusing("Stage it."):
        _ = 1 / 0
    check_allowed("catalogue")
