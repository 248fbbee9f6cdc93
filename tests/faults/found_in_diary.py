"""Faults of the evening run: its update, its diary, its track record."""

from tests.faults.fault import Fault

KEEPING, REPLAY, TRACK = (
    "tests/diary/test_keeping.py",
    "tests/diary/test_replay.py",
    "tests/serving/test_track_record.py",
)
SECTION, RECORD = "tests/update/test_ingest_section.py", "tests/reports/test_record.py"

DIARY = [
    Fault(
        "Yahoo unreachable, or the last day missing, in a run",
        "3, 4; nothing published",
        (
            f"{SECTION}::test_nobody_reachable_publishes_nothing",
            f"{SECTION}::test_too_many_without_the_last_day_publish_nothing",
        ),
    ),
    Fault(
        "UPDATE without a folder or a symbol",
        "2, what to give",
        (f"{SECTION}::test_an_update_without_a_folder_or_a_symbol_says_what_to_give",),
    ),
    Fault(
        "an update longer than CELL_TIMEOUT",
        "not cut short",
        (
            f"{SECTION}::test_no_time_limit_cuts_an_update_short",
            "tests/faults/test_run_faults.py::test_a_cell_that_waits_for_others_is_not_cut_short",
        ),
    ),
    Fault(
        "diary killed while it is written",
        "no row lost, none scored twice",
        (f"{KEEPING}::test_a_kill_at_any_moment_loses_no_row_and_doubles_none",),
    ),
    Fault("diary added to by four at once", "no row lost", (f"{KEEPING}::test_four_who_add_at_once_lose_no_row",)),
    Fault(
        "damaged diary",
        "told; no model stopped; takes no more rows, 3",
        (f"{KEEPING}::test_damage_is_told_and_stops_no_model", f"{KEEPING}::test_a_damaged_diary_takes_no_more_rows"),
    ),
    Fault(
        "diary of a run folder that a run holds",
        "6",
        (
            f"{KEEPING}::test_nothing_is_added_while_a_run_holds_the_folder",
            f"{REPLAY}::test_a_run_that_holds_the_folder_is_not_disturbed",
        ),
    ),
    Fault(
        "forecast made after its day's open",
        "kept, never scored",
        (f"{KEEPING}::test_a_forecast_after_the_open_is_kept_once_and_never_scored",),
    ),
    Fault("split after a score", "the score stays", (f"{KEEPING}::test_a_day_is_scored_once_by_what_was_known_then",)),
    Fault(
        "replay that could see the future",
        "it sees none",
        (f"{REPLAY}::test_a_day_knows_nothing_of_what_came_after_it",),
    ),
    Fault(
        "track record that cannot be understood",
        "told; answers go on",
        (
            f"{TRACK}::test_a_record_that_cannot_be_understood_stops_no_answer",
            f"{RECORD}::test_a_damaged_record_is_told_and_the_report_is_written",
        ),
    ),
    Fault(
        "bad live record",
        "verdict turns; /ready says so, 200",
        (
            f"{TRACK}::test_a_bad_live_record_is_told_and_the_server_is_ready",
            f"{RECORD}::test_a_doubt_turns_the_verdict",
        ),
    ),
    Fault(
        "two trainings note their forecasts at once",
        "both are kept",
        ("tests/diary/test_keeping.py::test_two_trainings_that_note_at_once_lose_no_forecast",),
    ),
    Fault(
        "a live record that was bad long ago and is good since",
        "no doubt beyond the last 60 sessions",
        ("tests/diary/test_windows.py::test_a_doubt_speaks_of_the_last_sixty_sessions",),
    ),
    Fault(
        "replayed and live forecasts of a symbol",
        "its page shows the live ones",
        (
            "tests/diary/test_windows.py::test_a_symbol_shows_its_last_twenty_sessions_and_live_ones_before_replayed_ones",
        ),
    ),
    Fault(
        "a split between a forecast and its score",
        "scored in the forecast's shares",
        (
            "tests/diary/test_keeping.py::test_a_split_before_its_day_is_scored_makes_no_miss",
            "tests/diary/test_keeping.py::test_corrected_volumes_are_no_split",
        ),
    ),
    Fault(
        "somebody wants tomorrow's numbers without a server",
        "in the report; ended and late symbols named",
        (
            "tests/reports/test_tomorrow.py::test_whoever_follows_a_few_symbols_reads_tomorrows_numbers",
            "tests/reports/test_tomorrow.py::test_a_symbol_that_has_ended_or_is_late_has_no_number_for_tomorrow",
        ),
    ),
    Fault(
        "runs after the open, each day",
        "told that these forecasts do not count",
        ("tests/reports/test_tomorrow.py::test_forecasts_that_come_after_their_days_open_are_told_to_count_nothing",),
    ),
    Fault(
        "a live record of a few sessions",
        "told that it is not judged yet",
        (f"{RECORD}::test_a_single_day_is_told_as_one",),
    ),
    Fault(
        "a misprinted date before a replay",
        "not its last day",
        ("tests/diary/test_replay.py::test_a_misprinted_date_of_one_symbol_is_not_the_last_day",),
    ),
    Fault(
        "the page asked for a symbol whose prices have ended",
        "told as such",
        ("tests/serving/test_page.py::test_a_symbol_whose_prices_have_ended_is_told_as_such",),
    ),
]
