"""Faults that strangers found, and their siblings: the rows of the table after the first thirty-one."""

from tests.faults.fault import Fault

SHELL, CAUSES = "tests/faults/test_hostile_shell.py", "tests/spark/test_causes.py"
ENV, DEATHS = "tests/test_environment.py", "tests/test_deaths.py"
REPORT, DAMAGE, LOOK = "tests/reports/test_report.py", "tests/reports/test_damage.py", "tests/reports/test_look.py"
LEFT, RUN = "tests/datasets/test_leftovers.py", "tests/runs/test_run_all.py"
PERIODS, TRAINING = "tests/forecasting/test_periods.py", "tests/forecasting/test_training.py"
NEXT_DAY, SAME_DAY = "tests/forecasting/test_next_day.py", "tests/forecasting/test_same_day.py"
ADDRESS, DUCKDB = "tests/sql/test_address.py", "tests/sql/test_duckdb.py"
HOME = "tests/test_home.py"

ANY, CSV, SOURCE = (f"tests/ingest/test_{name}.py" for name in ("any_bytes", "market_csv", "source"))
INGEST, N1 = "tests/ingest/test_prices.py", "tests/ingest/test_ingest_notebook.py"
N2, HOSTILE = "tests/features/test_features_notebook.py", "tests/faults/test_hostile_input.py"

INPUT = [
    Fault(
        "first, last, largest or only file bad",
        "as if it stood in the middle; 4 if it is the only one",
        (f"{N1}::test_the_first_the_last_and_the_largest_file_may_be_bad", f"{N1}::test_the_only_file_may_be_bad"),
    ),
    Fault(
        "short, traded by nobody, numbers at the edge",
        "pictures and checks cope",
        (f"{N1}::test_the_only_symbol_may_be_odd", f"{N2}::test_odd_data_have_features"),
    ),
    Fault(
        "any bytes in a CSV",
        "ledger balances, all ways agree",
        (
            f"{ANY}::test_all_ways_to_read_any_bytes_say_the_same",
            f"{CSV}::test_what_becomes_of_a_line_does_not_depend_on_its_neighbours",
        ),
    ),
    Fault(
        "giant lines, millions of blank ones",
        "cut; one row that counts them; linear",
        (
            f"{CSV}::test_a_long_text_is_cut_and_its_length_told",
            f"{CSV}::test_four_million_blank_lines_are_one_row_of_quarantine",
            f"{CSV}::test_long_lines_take_linear_time",
        ),
    ),
    Fault(
        "line ends of old Macs, \\r\\r\\n",
        "read, counted",
        (f"{CSV}::test_lines_are_counted_whatever_ends_them", f"{CSV}::test_header_is_read_by_name"),
    ),
    Fault(
        "any text to any regular expression",
        "linear time",
        (f"{HOSTILE}::test_every_regular_expression_takes_linear_time",),
    ),
    Fault(
        "delivery mostly refused",
        "reasons, three examples",
        (
            f"{N1}::test_a_bad_delivery_is_told_with_reasons_and_examples",
            f"{INGEST}::test_what_was_refused_is_summed_up",
        ),
    ),
    Fault(
        "input replaced meanwhile",
        "fingerprint of what was read; 3",
        (
            f"{INGEST}::test_what_is_recorded_is_what_was_read",
            f"{INGEST}::test_a_zip_replaced_by_one_with_less_in_it_ends_in_one_line",
            f"{SOURCE}::test_metadata_replaced_meanwhile_does_not_change_what_was_read",
        ),
    ),
    Fault(
        "hidden, packed, nested files; backslashes in a zip",
        "named; read",
        (
            f"{SOURCE}::test_what_is_not_read_is_named",
            f"{SOURCE}::test_a_zip_with_backslashes_is_read",
            f"{SOURCE}::test_a_delivery_of_packed_files_alone_is_told_what_to_do",
            f"{SOURCE}::test_two_entries_of_one_name_in_a_zip_are_refused",
        ),
    ),
    Fault(
        "aapl.csv, AAPL (1).csv, a symbol twice in the metadata",
        "published, warned of",
        (
            f"{SOURCE}::test_symbols_that_look_like_mistakes_are_named_and_kept",
            f"{INGEST}::test_warnings_are_published_with_the_symbols",
        ),
    ),
]

RUNS = [
    Fault(
        "a proxy is set",
        "loopback directly, the world by it",
        (
            f"{ENV}::test_this_machine_is_asked_without_a_proxy_and_the_world_by_it",
            f"{SHELL}::test_a_run_in_a_hostile_shell_is_like_any_other",
        ),
    ),
    Fault(
        "kernelspecs, Jupyter's and matplotlib's settings of somebody",
        "this Python, no difference",
        (
            f"{SHELL}::test_a_run_in_a_hostile_shell_is_like_any_other",
            f"{SHELL}::test_a_kernel_that_does_not_start_says_why",
        ),
    ),
    Fault(
        "a cluster's configuration, with local[*]",
        "no difference; counts on a cluster",
        (
            f"{ENV}::test_a_clusters_configuration_is_for_clusters",
            f"{SHELL}::test_a_notebook_opened_by_hand_in_a_hostile_shell_has_its_spark",
        ),
    ),
    Fault(
        "Spark does not start",
        "5, the line that says why",
        (
            f"{CAUSES}::test_the_line_that_says_why_is_found",
            f"{CAUSES}::test_a_server_that_does_not_start_says_why",
            f"{CAUSES}::test_a_spark_in_a_notebook_that_does_not_start_says_why",
            f"{CAUSES}::test_an_address_without_a_spark_is_told",
        ),
    ),
    Fault(
        "HOME full, absent or none; no temporary folder",
        "works, or 5, named",
        (
            f"{SHELL}::test_a_full_home_is_not_needed",
            f"{SHELL}::test_a_home_that_is_none_is_not_needed",
            f"{SHELL}::test_no_folder_for_temporary_files_is_told",
            f"{SHELL}::test_a_folder_that_a_cell_may_not_write_is_named",
        ),
    ),
    Fault(
        "a user id without a name; read-only project, odd host",
        "5, one line; works",
        (
            f"{SHELL}::test_a_user_without_a_name_is_told",
            f"{SHELL}::test_a_project_that_cannot_be_written_on_a_machine_without_a_known_name_runs",
        ),
    ),
    Fault(
        "PYTHON* variables, modules of others",
        "no difference",
        (f"{ENV}::test_python_is_not_steered", f"{ENV}::test_modules_of_others_hide_none_of_ours"),
    ),
    Fault(
        "a reader that goes, closed streams",
        "the run's own code",
        (
            f"{SHELL}::test_a_reader_that_goes_and_switches_of_python_end_no_run",
            f"{SHELL}::test_words_that_cannot_be_written_are_told_and_end_no_run",
        ),
    ),
    Fault(
        "a kernel or Spark killed",
        "memory named only if the system says so",
        (
            f"{SHELL}::test_a_kernel_that_the_system_killed_for_memory_is_told",
            f"{SHELL}::test_a_kernel_that_crashed_is_not_said_to_lack_memory",
            f"{DEATHS}::test_kills_for_memory_are_counted_where_the_system_counts_them",
            f"{CAUSES}::test_a_server_that_has_ended_says_why",
        ),
    ),
]

FOLDERS = [
    Fault(
        "CURRENT deleted or damaged by hand",
        "the newest whole version is current again",
        (
            f"{LEFT}::test_a_pointer_that_is_gone_or_damaged_is_restored",
            f"{LEFT}::test_only_a_version_that_is_whole_becomes_current_again",
            f"{LEFT}::test_without_a_pointer_nothing_is_removed",
        ),
    ),
    Fault(
        "damaged manifest, pointer or stages.json",
        "3, one line; mended by a run",
        (
            f"{RUN}::test_a_damaged_run_folder_is_one_line_to_who_looks_and_mended_by_who_runs",
            f"{LEFT}::test_a_damaged_manifest_is_one_line_and_the_next_run_goes_back",
            f"{LEFT}::test_a_damaged_record_is_one_line",
            f"{LEFT}::test_where_nothing_whole_is_left_the_dataset_is_made_again",
        ),
    ),
    Fault(
        "the clock set back",
        "order of writing counts",
        (f"{LEFT}::test_versions_keep_the_order_of_writing_when_the_clock_is_set_back",),
    ),
    Fault(
        "too much refused: which rows, and why",
        "reasons and three examples",
        (
            f"{REPORT}::test_a_refused_delivery_is_told_line_by_line",
            f"{REPORT}::test_refused_rows_are_shown_with_their_reasons",
        ),
    ),
    Fault(
        "a secret in data, errors or parameters that are cut or quoted",
        "nowhere in the report",
        (f"{REPORT}::test_a_secret_in_the_data_is_gone_though_its_line_is_cut_or_quoted",),
    ),
    Fault(
        "metrics.json is a list, half a file, NaN, of another shape",
        "named; the rest of the report is there",
        (
            f"{DAMAGE}::test_damaged_scores_are_named_and_not_believed",
            f"{DAMAGE}::test_one_damaged_task_does_not_cost_the_other",
        ),
    ),
    Fault(
        "a damaged part or manifest of a current dataset",
        "named; report written",
        (f"{DAMAGE}::test_a_damaged_part_is_named", f"{DAMAGE}::test_a_damaged_manifest_is_named"),
    ),
    Fault(
        "damaged run.json of an older run, profile or executed notebook",
        "named, or made again; report written",
        (
            f"{DAMAGE}::test_a_damaged_record_of_an_older_run_is_named",
            f"{DAMAGE}::test_a_damaged_profile_is_made_again",
            f"{DAMAGE}::test_a_damaged_notebook_costs_its_page_alone",
        ),
    ),
    Fault(
        "a report on a phone, at night, by keyboard, for a screen reader",
        "nothing cut, nothing out of reach",
        (
            f"{LOOK}::test_nothing_is_cut_on_a_narrow_screen",
            f"{LOOK}::test_nothing_is_out_of_reach_of_those_who_see_less",
            f"{LOOK}::test_a_picture_can_be_enlarged_by_keyboard_and_put_back",
        ),
    ),
    Fault(
        "a lock of the libraries that lags behind",
        "told, with the library",
        (f"{HOME}::test_the_lock_meets_the_requirements",),
    ),
    Fault(
        "health check of an image that names what is gone",
        "runs in the tests",
        (f"{HOME}::test_the_health_check_of_the_pipelines_image_holds",),
    ),
]

LEARNING = [
    Fault(
        "data that teach nothing: no full window, no Volume, all flagged",
        "3, counts by kind, before any work",
        (
            f"{PERIODS}::test_rows_that_teach_nothing_are_told_by_kind",
            f"{TRAINING}::test_prices_without_a_volume_teach_nothing",
        ),
    ),
    Fault(
        "days that are no sessions",
        "3, NEXT_DAY=false named",
        (f"{NEXT_DAY}::test_days_that_are_no_sessions_teach_nothing_and_that_is_told",),
    ),
    Fault(
        "one symbol, constant Volume, funds alone",
        "trained",
        (f"{TRAINING}::test_one_fund_whose_volume_never_changes",),
    ),
    Fault(
        "too few symbols to hold one out",
        "judged on later days, and told",
        (f"{NEXT_DAY}::test_too_few_symbols_are_all_learned_from_and_judged_on_later_days",),
    ),
    Fault(
        "history too short",
        "3, or 2 with the days to choose from",
        (
            f"{PERIODS}::test_history_that_is_too_short_is_told_in_numbers",
            "tests/forecasting/test_intervals.py::test_a_short_history_has_no_drift_to_judge",
        ),
    ),
    Fault(
        "a misprinted date",
        "trained",
        (
            f"{PERIODS}::test_auto_tests_on_the_last_fifth_of_the_days",
            f"{NEXT_DAY}::test_a_day_may_lie_beyond_all_calendars",
        ),
    ),
    Fault(
        "the same data trained twice",
        "the same version id",
        (f"{TRAINING}::test_the_same_data_trained_twice_are_the_same_version",),
    ),
    Fault(
        "a password with @ / # ? % or a blank in a URL",
        "user and host are told, nothing else",
        (
            f"{ADDRESS}::test_no_piece_of_a_password_is_told",
            f"{ADDRESS}::test_no_other_piece_of_an_address_is_told",
            f"{SAME_DAY}::test_mlflow_gets_the_password_of_the_address_and_nobody_else",
            "tests/test_urls.py::test_passwords_of_urls_and_their_pieces_leave_the_records",
        ),
    ),
    Fault(
        "DATABASE_URL of another program",
        "DuckDB's file and a warning; 2 where it was given",
        (
            f"{DUCKDB}::test_the_database_of_another_program_is_left_alone",
            f"{DUCKDB}::test_a_database_of_another_kind_that_is_asked_for_is_refused",
        ),
    ),
]
