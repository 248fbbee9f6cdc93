"""Faults of bringing a folder up to date."""

from tests.faults.fault import Fault

ASK, OUTCOME = "tests/update/test_asking.py", "tests/update/test_outcomes.py"
EVENING, UPDATE = "tests/update/test_evenings.py", "tests/update/test_command.py"

UPDATES = [
    Fault(
        "update killed at any moment",
        "every file whole; the next goes on, nobody is asked twice",
        (
            f"{EVENING}::test_evenings_end_equal_to_the_truth",
            f"{ASK}::test_a_line_of_the_journal_that_a_kill_cut_short_costs_no_other",
        ),
    ),
    Fault(
        "update interrupted",
        "130, 143, at once",
        (f"{UPDATE}::test_an_interrupted_update_ends_at_once_and_the_next_goes_on",),
    ),
    Fault(
        "Yahoo refuses",
        "slower, then stopped; 3 or 4",
        (
            f"{UPDATE}::test_a_server_that_always_refuses_is_not_stormed",
            f"{ASK}::test_refusals_stop_the_asking_and_the_next_call_goes_on",
        ),
    ),
    Fault(
        "no network",
        "3 after a few requests",
        (
            f"{ASK}::test_nothing_reachable_ends_the_asking_soon",
            f"{ASK}::test_without_a_directory_a_folder_with_names_goes_on",
        ),
    ),
    Fault(
        "HTML, cut JSON, resets, 503 from Yahoo",
        "asked once more, then named",
        (f"{ASK}::test_a_bad_answer_is_asked_for_once_more_and_then_told",),
    ),
    Fault(
        "open market, blank last row",
        "no unfinished bar",
        (
            f"{OUTCOME}::test_no_bar_is_written_until_four_hours_after_its_close",
            f"{OUTCOME}::test_a_blank_last_row_is_waited_for",
        ),
    ),
    Fault(
        "reused or renamed ticker, unlisted split, lost days",
        "held and named",
        (
            f"{OUTCOME}::test_what_cannot_be_explained_is_held",
            f"{ASK}::test_a_reused_ticker_keeps_the_name_of_its_rows",
        ),
    ),
    Fault(
        "symbol no longer listed",
        "delisted after three sessions, file stays",
        (f"{ASK}::test_delisting_is_recorded_after_three_absences_and_the_file_stays",),
    ),
    Fault("too many symbols stale", "4", (f"{UPDATE}::test_too_many_stale_symbols_are_a_failure",)),
    Fault(
        "disk full during an update", "5, every file whole", (f"{UPDATE}::test_a_full_disk_leaves_every_file_whole",)
    ),
    Fault("two updates of one folder", "6 at once", (f"{UPDATE}::test_a_second_update_of_the_same_folder_is_refused",)),
    Fault(
        "no yfinance, or an old one",
        "5, how to install it",
        (f"{UPDATE}::test_without_its_libraries_it_says_how_to_install_them",),
    ),
    Fault("damaged updates.json", "asked anew", (f"{ASK}::test_a_damaged_ledger_is_no_ledger",)),
    Fault(
        "a split, in the list of changed rows",
        "no revision; corrections are still found",
        ("tests/ingest/test_revisions.py::test_a_split_is_no_revision_and_hides_none",),
    ),
    Fault(
        "an evening on which nobody is asked",
        "the report says when Yahoo was asked last",
        ("tests/update/test_ingest_section.py::test_two_evenings_are_read_told_and_their_corrections_reported",),
    ),
    Fault(
        "an old directory; an index; a symbol that comes back",
        "not delisted; asked for again",
        (
            f"{ASK}::test_an_old_directory_delists_nobody",
            f"{ASK}::test_an_index_is_in_no_directory_and_never_delisted",
            f"{ASK}::test_a_symbol_that_comes_back_is_asked_for_again",
        ),
    ),
]
