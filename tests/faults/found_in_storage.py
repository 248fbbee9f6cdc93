"""Faults of object stores, and of machines that share no folder."""

from tests.faults.fault import Fault

P, R, C = (f"tests/storage/test_{name}.py" for name in ("publishing", "runs", "commands"))
U, X = "tests/storage/test_updates.py", "tests/storage/test_faults.py"
S, M = "tests/storage/test_serving.py", "tests/deploy/test_separate_machines.py"

STORAGE = [
    Fault(
        "publishing into a store killed",
        "old version; garbage cleared by age",
        (
            f"{P}::test_kill_at_any_moment_of_publishing",
            f"{P}::test_publishers_killed_at_random",
            f"{R}::test_a_killed_run_leaves_garbage_only_and_the_next_one_ends_in_the_same_bytes",
        ),
    ),
    Fault(
        "sixteen publishers at once on a store",
        "one wins, the others 6",
        (f"{P}::test_sixteen_racing_publishers_lose_nothing",),
    ),
    Fault(
        "publishing from an older state",
        "6, nothing published",
        (
            f"{P}::test_who_began_from_an_older_state_cannot_publish",
            f"{P}::test_what_a_run_has_read_must_still_be_current",
            f"{R}::test_two_machines_that_run_at_once_mix_nothing",
        ),
    ),
    Fault(
        "orphan, or second run, on a store",
        "publishes nothing; 6 at once",
        (
            f"{P}::test_orphan_of_a_dead_run_publishes_nothing",
            f"{P}::test_second_run_of_this_machine_is_refused_at_once",
        ),
    ),
    Fault(
        "store away",
        "5 in a line; the last good model goes on",
        (
            f"{C}::test_a_store_that_does_not_answer_is_one_line",
            f"{S}::test_the_last_good_model_goes_on_while_the_store_is_away",
        ),
    ),
    Fault(
        "model in a store damaged, or newer",
        "refused; followed",
        (f"{S}::test_a_damaged_model_in_a_store_is_refused", f"{S}::test_a_server_follows_a_model_in_a_store"),
    ),
    Fault(
        "credentials in a URL, or odd",
        "2 or 5, never shown",
        (
            f"{C}::test_credentials_in_a_url_are_refused_and_not_repeated",
            f"{C}::test_a_secret_with_a_line_break_is_named_and_not_shown",
            f"{R}::test_a_run_from_and_to_a_store_makes_the_same_bytes_and_tells_no_secret",
        ),
    ),
    Fault(
        "URL without its client",
        "5, the line to install it",
        (f"{C}::test_a_url_without_the_client_names_the_line_to_install_it",),
    ),
    Fault(
        "machines that share nothing, one dies",
        "the same bytes, only time lost",
        (f"{M}::test_notebooks_run_on_machines_that_share_nothing", f"{M}::test_a_machine_that_dies_costs_no_data"),
    ),
    Fault(
        "update of a store killed, or two at once",
        "the bytes of a folder, nobody asked twice; 6, who holds it",
        (
            f"{U}::test_evenings_in_a_store_end_in_the_bytes_of_a_folder",
            f"{U}::test_a_second_update_says_who_is_at_work",
            f"{U}::test_a_holder_that_died_elsewhere_is_waited_for_and_one_of_this_machine_is_not",
        ),
    ),
    Fault(
        "holder of an update asleep, then awake",
        "taken over; replaces nothing more",
        (
            f"{U}::test_who_gives_no_sign_is_taken_over_and_can_write_nothing_more",
            f"{U}::test_what_somebody_else_exchanged_meanwhile_is_not_overwritten",
        ),
    ),
    Fault(
        "store refuses or fails in the middle",
        "5 in a line; the next goes on; old version stays",
        (
            f"{X}::test_a_store_that_refuses_in_the_middle_ends_an_update_that_the_next_goes_on_with",
            f"{X}::test_a_store_that_fails_for_a_moment_is_asked_again",
            f"{X}::test_a_refusal_in_the_middle_of_publishing_leaves_the_old_version",
        ),
    ),
    Fault(
        "store hangs, then SIGTERM",
        "143 within seconds",
        (f"{X}::test_an_update_of_a_store_that_hangs_can_be_interrupted",),
    ),
    Fault(
        "machine with a wrong clock at a store",
        "takes no living run for a dead one",
        (
            f"{X}::test_a_machine_whose_clock_is_wrong_takes_no_living_run_for_a_dead_one",
            f"{U}::test_a_claim_is_as_old_as_the_store_says",
        ),
    ),
    Fault(
        "odd names, prefix of a prefix, empty bucket, late listing",
        "as any other",
        (
            f"{X}::test_names_that_are_no_plain_words",
            f"{X}::test_a_name_that_begins_like_another_is_another",
            f"{X}::test_a_bucket_with_nothing_in_it_that_is_the_place_itself",
            f"{X}::test_a_reader_needs_no_list",
        ),
    ),
    Fault(
        "run to a store beside records of a killed one",
        "its own stay until its end",
        (f"{P}::test_records_of_a_killed_run_are_put_there_and_those_of_this_run_stay_until_its_end",),
    ),
    Fault(
        "endpoint or credentials set after a first try",
        "the new ones are used",
        (f"{C}::test_a_kernel_that_sets_its_store_later_is_heard",),
    ),
]
