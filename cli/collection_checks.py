"""What `doctor --collection` looks at: what the pictures of a collection lack, as the API counts it."""

from collections.abc import Iterator, Mapping
from typing import Any

from cli.checks import Check
from rules.wording import plural


def checks(name: str, found: Mapping[str, Any]) -> Iterator[Check]:
    """Say what the counts mean, and how to mend it."""
    points, model_id, of_model = found["points"], found["model_id"], found["of_model"]
    if model_id is None:
        yield Check(
            "Model", "note", f"{name} was made by another program: nothing is known of its {plural(points, 'point')}"
        )
        return
    if of_model == points:
        yield Check(
            "Model", "ok", f"all {plural(points, 'picture has a vector', 'pictures have vectors')} of {model_id}"
        )
    else:
        yield Check(
            "Model",
            "problem",
            f"{points - of_model} of {points} pictures have no vector of {model_id}: words find them, meaning does not",
            f"`darkroom reread {name}` embeds those whose files can be read.",
        )
    if found["filling"] is not None:
        yield Check(
            "Embedded anew",
            "note",
            f"{found['filled']} of {points} have vectors of {found['filling']}; until all do, {model_id} serves",
            "`darkroom jobs` shows whether the job goes on; else begin it again.",
        )
    if count := found["from_thumbnail"]:
        yield Check(
            "Thumbnails",
            "note",
            f"{plural(count, 'picture was', 'pictures were')} embedded from what was kept, as the files were gone",
            f"Once the files are back, `darkroom reread {name}` embeds them from these.",
        )
    if count := found["without_caption"]:
        mend = f"`darkroom caption {name}` adds them." if count < points else ""
        yield Check("Captions", "note", f"{count} of {points} pictures have none", mend)
    if count := found["archived"]:
        yield Check(
            "Files", "note", f"{plural(count, 'picture has', 'pictures have')} no file that is listed: archived"
        )
