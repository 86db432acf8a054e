"""What an image says of its user, asked once: a container is made for it, and no usual start pays for that."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import time
from typing import Any, NamedTuple

from scopecraft_git import paths
from scopecraft_git.errors import ImageMissingError
from scopecraft_git.executors import documents
from scopecraft_git.executors.engine import Engine, NotNowError, NotThereError

FILE_LIMIT = 4 << 20
LABEL = "scopecraft.image"
LOOKS_FOR_AT_MOST = 300.0
"""Seconds after which a container that was made to look into an image serves nobody."""


class ImageFacts(NamedTuple):
    id: str
    home: str
    """Home directory of the user that the image starts as."""
    passwd: str
    """The image's user database."""


def learn(engine: Engine, image: str) -> ImageFacts:
    """Facts by the image's id, kept below SCOPECRAFT_HOME. Raises `ImageMissingError`."""
    try:
        with engine.asked(f"look at the image {image}"):
            document = engine.api.inspect_image(image)
    except NotThereError:
        raise ImageMissingError(image) from None
    known = _load()
    if document["Id"] not in known:
        passwd = _passwd(engine, document["Id"])
        home = _home(document.get("Config") or {}, passwd)
        known[document["Id"]] = {"home": home, "passwd": passwd}
        _save(known)
    return ImageFacts(document["Id"], **known[document["Id"]])


def read_file(engine: Engine, container: str, path: str) -> bytes | None:
    """A plain file out of a container, whether it runs or not; None when there is none."""
    try:
        with engine.asked(f"read {path} of the image"):
            chunks, _ = engine.working.get_archive(container, path)
            archive = b"".join(_within(chunks))
    except NotThereError:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            return file.read() if file else None
    return None


def _within(chunks: Any) -> Any:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > FILE_LIMIT:
            return
        yield chunk


def _passwd(engine: Engine, image: str) -> str:
    with engine.asked(f"look into the image {image}"):
        _remove_left_over(engine)
        container = engine.working.create_container(image, ["true"], labels=[LABEL])["Id"]
        try:
            return (read_file(engine, container, "/etc/passwd") or b"").decode(errors="replace")
        finally:
            _remove(engine, container)


def _remove_left_over(engine: Engine) -> None:
    """Of one who was killed while it looked into an image."""
    for container in engine.api.containers(all=True, filters={"label": LABEL, "status": "created"}):
        if time.time() - container["Created"] > LOOKS_FOR_AT_MOST:
            _remove(engine, container["Id"])


def _remove(engine: Engine, container: str) -> None:
    """Unless somebody else who tidies up is at it."""
    with contextlib.suppress(NotThereError, NotNowError), engine.asked("remove the container"):
        engine.working.remove_container(container, force=True)


def _home(config: dict[str, Any], passwd: str) -> str:
    """As the engine decides it: the image's HOME, else what its user database says of the user it starts as."""
    for variable in config.get("Env") or []:
        if variable.startswith("HOME="):
            return str(variable.removeprefix("HOME="))
    user = (config.get("User") or "0").partition(":")[0]
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) == 7 and user in (fields[0], fields[2]):
            return fields[5]
    return "/"


def _load() -> dict[str, dict[str, str]]:
    with contextlib.suppress(OSError, ValueError):
        known = json.loads((paths.home() / "images.json").read_bytes())
        if isinstance(known, dict):
            return known
    return {}


def _save(known: dict[str, dict[str, str]]) -> None:
    documents.write(paths.home() / "images.json", known)
