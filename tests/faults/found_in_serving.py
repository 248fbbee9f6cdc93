"""Faults of serving that strangers found, and their siblings."""

from tests.faults.fault import Fault

WIRE, WORKERS, LOAD = "tests/serving/test_wire.py", "tests/serving/test_workers.py", "tests/serving/test_load.py"
LIMITS, LINK = "tests/serving/test_limits.py", "tests/serving/test_link.py"
PROGRAM, BUNDLE = "tests/serving/test_program.py", "tests/serving/test_bundle.py"
SPREAD, PAGE = "tests/serving/test_spread.py", "tests/serving/test_page.py"

SERVING = [
    Fault("256 connections", "no collapse", (f"{LOAD}::test_256_connections_are_served_as_well_as_16",)),
    Fault("ten times the load", "503 in good order", (f"{LOAD}::test_ten_times_the_load_is_refused_in_good_order",)),
    Fault(
        "a house full of idle connections",
        "the longest idle goes",
        (
            f"{LOAD}::test_idle_connections_keep_nobody_out",
            f"{LIMITS}::test_when_all_places_are_taken_the_longest_idle_goes_first",
        ),
    ),
    Fault(
        "a worker killed",
        "replaced, one broken connection at most",
        (f"{WORKERS}::test_a_dead_worker_is_replaced_and_each_caller_loses_one_connection_at_most",),
    ),
    Fault(
        "several processes",
        "one sum, one model, one rate",
        (
            f"{WORKERS}::test_the_metrics_are_one_sum",
            f"{WORKERS}::test_a_new_model_reaches_all_workers_and_no_answer_mixes_two",
            f"{WORKERS}::test_a_rate_holds_over_processes_that_count_at_the_same_time",
        ),
    ),
    Fault("a kernel killed", "its server ends", (f"{WORKERS}::test_the_server_of_a_process_ends_with_it",)),
    Fault(
        "request smuggling",
        "refused",
        (
            f"{WIRE}::test_what_could_be_read_in_two_ways_is_refused",
            f"{WIRE}::test_what_is_taken_another_strict_reader_takes_alike",
        ),
    ),
    Fault(
        "endless or tiny-chunked bodies",
        "408, 413",
        (
            f"{LIMITS}::test_a_body_that_never_ends_is_cut_off",
            f"{WIRE}::test_a_body_in_more_small_chunks_than_is_sensible_is_refused",
        ),
    ),
    Fault(
        "a bit of a manifest flipped",
        "refused",
        (
            f"{BUNDLE}::test_no_flipped_bit_of_a_manifest_goes_unseen",
            f"{BUNDLE}::test_no_content_of_a_file_ends_the_watch",
        ),
    ),
    Fault("a file beside the published ones", "refused", (f"{BUNDLE}::test_a_file_that_was_not_published_is_refused",)),
    Fault("private pages by odd paths", "404", (f"{LINK}::test_no_way_to_write_it_leads_to_what_is_private",)),
    Fault("the tunnel's agent dies", "opened again", (f"{LINK}::test_a_link_that_dropped_is_opened_again",)),
    Fault(
        "port out of range",
        "2 before any work",
        (f"{PROGRAM}::test_a_run_refuses_a_port_that_cannot_be_before_any_work",),
    ),
    Fault(
        "an offer of another protocol with a body",
        "read without it, and the next request too",
        (f"{WIRE}::test_what_is_right_is_answered_and_the_next_request_too",),
    ),
    Fault(
        "a level that no bundle holds; a model without quantiles",
        "400 or 404 with a sentence",
        (
            f"{SPREAD}::test_levels_that_no_bundle_holds_are_refused_with_a_sentence",
            f"{SPREAD}::test_a_model_without_them_says_how_they_come",
        ),
    ),
    Fault(
        "tables of the API on a phone, by keyboard",
        "within reach",
        (f"{PAGE}::test_all_of_a_phone_s_page_is_within_reach",),
    ),
    Fault(
        "callers who ask again at once when refused",
        "cost less than an answer",
        (f"{LOAD}::test_refusing_those_who_ask_again_at_once_costs_less_than_answering_them",),
    ),
    Fault(
        "a caller without a place",
        "503, keeps the connection, has the next place",
        (f"{LIMITS}::test_who_was_refused_keeps_the_connection_and_has_the_next_place",),
    ),
    Fault(
        "a caller without a place who is silent, or could be misunderstood",
        "told so once, and closed",
        (
            f"{LIMITS}::test_who_was_refused_and_could_be_misunderstood_is_told_so_and_parted_from",
            f"{LIMITS}::test_who_has_no_place_and_says_nothing_is_told_so_and_parted_from",
        ),
    ),
    Fault(
        "a question that waits while the server is busy",
        "not taken for idle",
        (f"{LIMITS}::test_who_has_asked_is_not_taken_for_idle_while_the_server_was_busy",),
    ),
    Fault(
        "a worker that may open no more files",
        "answers whom it has, goes on",
        (f"{LOAD}::test_a_worker_that_may_open_no_more_files_answers_whom_it_has_and_goes_on",),
    ),
    Fault(
        "a worker that hangs, or has fewer connections",
        "keeps nobody out; takes the next",
        (f"{WORKERS}::test_a_worker_that_hangs_keeps_nobody_out_and_the_one_with_fewer_connections_takes_the_next",),
    ),
    Fault(
        "quantiles for CSV; a parameter that a POST does not know",
        "columns; 400",
        (
            f"{SPREAD}::test_rows_of_a_spreadsheet_get_them_as_columns",
            f"{SPREAD}::test_many_may_ask_in_the_address_or_in_the_body_and_nothing_is_passed_over",
        ),
    ),
    Fault(
        "an answer that comes after a newer one",
        "not shown",
        (f"{PAGE}::test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one",),
    ),
]
