"""What a schema cannot say. Everything else that a schema allows has to be accepted."""

import os

import schemathesis

# The operation (or `*`), the field that the refusal names (or `*`), a word of its sentence, and why no schema can say it.
UNSAYABLE = [
    ("*", "*", "one that cannot be seen", "patterns of JSON Schema name no classes of characters, and no character beyond the first plane, in a way that all readers share"),
    ("*", "anchors", "anchor", "an anchor is marked by the server"),
    ("*", "budget_usd", "at most six decimals", "readers disagree about multiples of a fraction"),
    ("*", "cursor", "Start the list again", "a cursor is sealed by the server"),
    ("*", "group", "There is no group", "groups are configured"),
    ("*", "group", "A group is required", "what registrations need is configured"),
    ("*", "manager_email", "A manager is required", "what registrations need is configured"),
    ("*", "manager_email", "must be different people", "it compares two fields"),
    ("*", "evidence", "needs evidence", "what a tier needs is configured"),
    ("*", "project_id", "Say which project", "it depends on the credential"),
    ("*", "name", "Say what to change", "any one of several fields will do"),
    ("*", "cloud", "belongs to cloud", "it depends on the service"),
    ("*", "account", "has no account", "it depends on the service"),
    ("*", "to", "is after", "it compares two fields"),
    ("*", "tail", "not both", "it compares two fields"),
    ("*", "password", "must not be the username", "it compares two fields"),
    ("*", "current_password", "present password is wrong", "only the account knows it"),
    ("*", "version", "", "a version is of one record"),
]
ACCEPTED = {401, 403, 404, 409, 412, 429}


def says_what_no_schema_can(problem):
    if problem.get("code") == "invalid-spec":
        return True  # each service has a schema of its own, which `GET /api/services/{service}` gives
    field, detail = problem.get("field", ""), problem.get("detail", "")
    return any(known in (field, "*") and word in detail for _, known, word, _ in UNSAYABLE)


def left_out(value):
    """Whether nothing of it is in a query: `limit=` is all that is sent of `{"limit": {"x": []}}`."""
    if isinstance(value, dict):
        return all(left_out(part) for part in value.values())
    if isinstance(value, list):
        return all(left_out(part) for part in value)
    return value in ("", None)


@schemathesis.hook
def filter_query(ctx, query):
    """`?cursor=&limit=50` is how a first page is often asked for: an empty value counts as left out, whatever its type is."""
    return not any(left_out(value) for value in (query or {}).values())


@schemathesis.hook
def filter_case(ctx, case):
    """The same for cases that are not made from random input. And nobody ends the account or the token of who walks."""
    own = os.environ["ASGARD_WALK_OWN"].split()
    if case.method.upper() != "GET" and any(value in own for value in (case.path_parameters or {}).values()):
        return False
    return not any(left_out(value) for value in (case.query or {}).values())


@schemathesis.check
def refuses_only_what_a_schema_cannot_say(ctx, response, case):
    """What fits the schema is accepted, or refused for a reason that is listed here."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return
    status = response.status_code
    if status < 400 or status in ACCEPTED or status >= 500:
        return
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if status == 400 and says_what_no_schema_can(problem):
        return
    raise AssertionError(f"{case.operation.label} refuses what its schema allows: {status} {problem.get('field')}: {problem.get('detail')}")
