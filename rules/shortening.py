"""How a message is shown to a person: whole, but for what no person reads."""

LONGEST_TEXT = 160
KEPT_TEXT = 24
LONGEST_LIST = 8
KEPT_LIST = 3


def shortened(value: object) -> object:
    """Return a JSON value with long texts (pictures in base64, stack traces) and long lists (vectors) cut.

    What was cut says how long it was.
    """
    match value:
        case str() if len(value) > LONGEST_TEXT:
            return f"{value[:KEPT_TEXT]}… ({len(value):,} characters)"
        case list() if len(value) > LONGEST_LIST:
            return [*(shortened(each) for each in value[:KEPT_LIST]), f"… ({len(value):,} in all)"]
        case list():
            return [shortened(each) for each in value]
        case dict():
            return {name: shortened(each) for name, each in value.items()}
        case _:
            return value
