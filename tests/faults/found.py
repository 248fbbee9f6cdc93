"""Faults that strangers found, and their siblings: the rows of the table after the first thirty-one."""

from tests.faults.fault import Fault

SHELL, CAUSES = "tests/faults/test_hostile_shell.py", "tests/spark/test_causes.py"
ENV, DEATHS = "tests/test_environment.py", "tests/test_deaths.py"
REPORT, DAMAGE, LOOK = "tests/reports/test_report.py", "tests/reports/test_damage.py", "tests/reports/test_look.py"
LEFT, RUN = "tests/datasets/test_leftovers.py", "tests/runs/test_run_all.py"
PERIODS, TRAINING = "tests/forecasting/test_periods.py", "tests/forecasting/test_training.py"
NEXT_DAY, SAME_DAY = "tests/forecasting/test_next_day.py", "tests/forecasting/test_same_day.py"
ADDRESS, DUCKDB = "tests/sql/test_address.py", "tests/sql/test_duckdb.py"
ASK, OUTCOME = "tests/update/test_asking.py", "tests/update/test_outcomes.py"
EVENING, UPDATE = "tests/update/test_evenings.py", "tests/update/test_command.py"
HOME = "tests/test_home.py"

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
        (f"{NEXT_DAY}::test_too_few_symbols_are_all_trained_on_and_judged_on_later_days",),
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
]
