"""Bracket expressions of patterns (`[a-c]`) in the one form that pathspec understands as git does."""

import re
import string

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \t",
    "cntrl": "\x01-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": string.punctuation.replace("/", ""),  # which a name cannot have, and which would tie the pattern down
    "space": " \t\n\r\f\v",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
"""Names of POSIX; those of punctuation are single characters, the others ranges of them."""
_PART = re.compile(r"\\.|\[!?\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|.", re.DOTALL)
"""An escaped character, a bracket expression, or any other character."""
_ITEM = re.compile(r"\[:(?P<name>\w+):\]|(?P<low>\\.|[^\\])(?:-(?P<high>\\.|[^\]\\]))?", re.DOTALL)


def plain(pattern: str) -> str:
    """Write names of classes and escaped characters in bracket expressions as characters and ranges."""
    return "".join(_plain(part) if len(part) > 1 and part[0] == "[" else part for part in _PART.findall(pattern))


def _plain(expression: str) -> str:
    inside = expression[1:-1]
    negated = inside[:1] in {"!", "^"}
    characters: list[str] = []
    ranges: list[str] = []
    for item in _ITEM.finditer(inside[negated:]):
        low, high = (one[-1] if one else "" for one in (item["low"], item["high"]))
        if item["name"] == "punct":
            characters += _CLASSES["punct"]
        elif item["name"]:
            ranges.append(_CLASSES.get(item["name"], ""))
        elif high:
            ranges.append(f"{low}-{high}")
        else:
            characters.append(low)
    # Where they mean themselves: a bracket first, a caret not first, a hyphen last.
    first = "]" if "]" in characters else ""
    middle = "".join(one for one in dict.fromkeys(characters) if one not in "]^-!")
    last = "".join(one for one in "^!-" if one in characters)
    if not (negated or first or ranges or middle) and last[:1] in {"^", "!"}:
        return f"\\{last}" if len(last) == 1 else f"[-{last.removesuffix('-')}]"
    return f"[{'!' * negated}{first}{''.join(ranges)}{middle}{last}]"
