"""The description of the API holds for whatever it allows: Schemathesis asks, the real server answers.

API_EXAMPLES=3000 pytest tests/serving/test_schema.py    # over 10,000 requests, some minutes
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

EXAMPLES = int(os.environ.get("API_EXAMPLES", "30"))  # of each operation


@pytest.mark.parametrize(
    "operation",
    [
        "GET /predict", "POST /predict", "GET /forecast/{symbol}", "POST /forecast", "GET /symbols", "GET /health",
        "GET /ready", "GET /openapi.json", "GET /track-record", "GET /track-record/{symbol}",
    ],
)  # fmt: skip
def test_every_answer_is_as_described(server, operation):
    schema = schemathesis.openapi.from_url(server.url + "/openapi.json")
    method, path = operation.split()

    @given(case=schema[path][method].as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def ask(case):
        case.call_and_validate()

    ask()


def test_answers_lead_to_questions_that_hold_too(server):
    """What /symbols finds has a forecast: along the description's links."""
    schema = schemathesis.openapi.from_url(server.url + "/openapi.json")
    machine = schema.as_state_machine()
    limits = settings(
        max_examples=max(3, EXAMPLES // 10),
        stateful_step_count=6,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine.run(settings=limits)
