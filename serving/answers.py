"""What every answer carries, whoever gives it: the application, the guard in front of it, or the server itself."""

import json

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; "
    # The notebook that started the server shows the page in a frame, from another port or from Colab.
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:* https://*.colab.dev https://*.googleusercontent.com",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
PRIVATE = {**SECURITY, "Cache-Control": "no-store"}
JSON = "application/json"
JSON_HEADERS = [*PRIVATE.items(), ("Content-Type", JSON)]


def describe_error(message: str, field: str | None = None) -> bytes:
    """The body of an error. field: the name of what is wrong in the request."""
    return json.dumps({"error": message, **({"field": field} if field else {})}, separators=(",", ":")).encode() + b"\n"
