"""Every fault that must not break it: what is expected, and the tests that inject it, each beside what it tests."""

from tests.faults import (
    found,
    found_in_diary,
    found_in_serving,
    found_in_storage,
    found_in_training,
    found_in_updates,
)
from tests.faults.fault import Fault

CSV, INGEST, STORE = "tests/ingest/test_market_csv.py", "tests/ingest/test_prices.py", "tests/datasets/test_store.py"
SOURCE = "tests/ingest/test_source.py"
RUN, RUN_FAULTS = "tests/runs/test_run_all.py", "tests/faults/test_run_faults.py"
CACHE, KILLS = "tests/faults/test_cache.py", "tests/faults/test_kills.py"
REPORT = "tests/reports/test_report.py"
API, BUNDLE = "tests/serving/test_api.py", "tests/serving/test_bundle.py"
LIMITS, LINK, PROGRAM = (f"tests/serving/test_{name}.py" for name in ("limits", "link", "program"))

FAULTS = {
    1: Fault(
        "no data, or unreadable",
        "3, path named",
        (
            f"{RUN}::test_a_folder_without_prices_is_named",
            f"{RUN}::test_a_file_that_cannot_be_read_is_named",
            f"{SOURCE}::test_member_that_cannot_be_unpacked_is_named",
        ),
    ),
    2: Fault("metadata unusable", "3, columns named", (f"{SOURCE}::test_delivery_that_cannot_be_used_is_named",)),
    3: Fault("header reordered, BOM, CRLF", "read by name", (f"{CSV}::test_header_is_read_by_name",)),
    4: Fault("no usable header", "file refused", (f"{CSV}::test_file_without_a_usable_header_is_refused_whole",)),
    5: Fault(
        "broken lines", "rows refused, ledger balances", (f"{INGEST}::test_faults_of_every_kind_balance_to_the_row",)
    ),
    6: Fault("blank rows", "refused, counted", (f"{CSV}::test_blank_lines_are_counted",)),
    7: Fault(
        "bad, double, unordered dates", "refused; sorted", (f"{CSV}::test_first_of_a_day_is_kept_and_days_are_sorted",)
    ),
    8: Fault(
        "odd Volume",
        "kept where it is a number",
        (
            f"{CSV}::test_volume_beyond_32_bits_or_written_as_a_decimal_is_kept",
            f"{CSV}::test_bad_row_is_refused_with_line_text_and_reason",
        ),
    ),
    9: Fault("suspicious prices", "published, flagged", (f"{INGEST}::test_suspicious_rows_are_published_and_counted",)),
    10: Fault("odd symbols", "exact", (f"{INGEST}::test_symbols_and_names_come_through_exactly",)),
    11: Fault(
        "no metadata",
        "null name, counted",
        (f"{INGEST}::test_symbols_and_names_come_through_exactly", f"{REPORT}::test_the_ledger_is_told"),
    ),
    12: Fault("symbol twice", "4, both named", (f"{INGEST}::test_symbol_with_two_files_is_refused_with_both_named",)),
    13: Fault("short symbol", "null features", (f"{INGEST}::test_short_symbol_has_null_features",)),
    14: Fault("too much refused", "4, old version stays", (f"{RUN}::test_a_bad_delivery_leaves_the_old_version",)),
    15: Fault(
        "kill -9",
        "same bytes after the next run",
        (
            f"{STORE}::test_kill_at_any_moment_of_publishing",
            f"{STORE}::test_orphan_of_a_dead_run_publishes_nothing",
            f"{RUN_FAULTS}::test_a_run_killed_in_a_stage_is_finished_by_the_next",
            f"{KILLS}::test_publishers_killed_at_random",
        ),
    ),
    16: Fault("Ctrl-C, SIGTERM", "130, 143, no process left", (f"{RUN}::test_an_interrupted_run_leaves_no_process",)),
    17: Fault(
        "disk full",
        "5, old version stays",
        (
            f"{RUN_FAULTS}::test_a_full_disk_is_told",
            f"{RUN_FAULTS}::test_no_room_for_the_records_of_a_run_is_a_full_disk",
        ),
    ),
    18: Fault(
        "kernel, Spark, Python worker killed",
        "7 within seconds; retried",
        (
            f"{RUN_FAULTS}::test_a_killed_part_of_a_run_ends_it",
            "tests/ingest/test_attempts.py::test_second_attempt_of_every_task_leaves_the_same_bytes",
        ),
    ),
    19: Fault("no Java, Java 8", "packaged one, or 5", (f"{RUN_FAULTS}::test_java_is_packaged_or_asked_for",)),
    20: Fault("two runs at once", "6 at once", (f"{RUN}::test_a_second_run_on_the_same_folder_is_refused",)),
    21: Fault(
        "wrong parameter",
        "2 before any work",
        (
            f"{RUN}::test_a_wrong_parameter_ends_the_run_before_it_begins",
            f"{RUN}::test_a_wrong_file_of_parameters_ends_the_run_before_it_begins",
        ),
    ),
    22: Fault("cell that hangs; failing magic", "124; 7", (f"{RUN_FAULTS}::test_a_bad_cell_ends_the_run",)),
    23: Fault(
        "something changed",
        "what is downstream runs",
        (
            f"{RUN}::test_a_dry_run_says_what_would_run_and_writes_nothing",
            f"{CACHE}::test_what_changed_and_what_is_downstream_runs",
            f"{CACHE}::test_a_run_does_what_a_dry_run_says",
        ),
    ),
    24: Fault(
        "bad model bundle",
        "refused",
        (f"{BUNDLE}::test_damage_is_refused", f"{BUNDLE}::test_a_newer_format_is_refused"),
    ),
    25: Fault("model exchanged under load", "no failed request", (f"{BUNDLE}::test_models_are_exchanged_under_load",)),
    26: Fault("bad questions", "400, field named", (f"{API}::test_what_is_no_number_is_refused_by_name",)),
    27: Fault(
        "outside of training", "answer, in_range false", (f"{API}::test_outside_of_training_there_is_an_honest_answer",)
    ),
    28: Fault(
        "bad requests",
        "413, 414, 405, 400, 415",
        (f"{API}::test_wrong_ways_to_ask", f"{LIMITS}::test_a_body_of_ten_megabytes_is_refused"),
    ),
    29: Fault(
        "slow clients, overload",
        "cut off; 503",
        (f"{LIMITS}::test_a_client_that_trickles_is_cut_off", f"{LIMITS}::test_too_much_load_is_refused_and_forgotten"),
    ),
    30: Fault(
        "port taken, no tunnel",
        "clear error, or local",
        (
            f"{PROGRAM}::test_a_taken_port_is_one_clear_line",
            f"{LINK}::test_without_a_tunnel_local_serving_goes_on",
            f"{LINK}::test_the_agent_ends_with_the_server_and_the_token_is_nowhere_to_be_read",
        ),
    ),
    31: Fault(
        "time zone, language, cores",
        "the same bytes",
        (
            "tests/ingest/test_attempts.py::test_same_bytes_from_folder_and_zip_in_any_time_zone",
            f"{RUN}::test_features_are_the_same_bytes_anywhere",
        ),
    ),
}

FOUND = [
    *found.INPUT,
    *found.RUNS,
    *found.FOLDERS,
    *found.LEARNING,
    *found_in_serving.SERVING,
    *found_in_updates.UPDATES,
    *found_in_diary.DIARY,
    *found_in_storage.STORAGE,
    *found_in_training.TRAINING,
]
FAULTS |= dict(enumerate(FOUND, len(FAULTS) + 1))
