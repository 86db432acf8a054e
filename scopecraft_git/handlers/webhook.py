"""Posts what happened to an address of the user's."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scopecraft_git import __version__
from scopecraft_git.config import WebhookSettings
from scopecraft_git.console import safe_line

BACKOFF = 0.5
"""Seconds that the pauses between tries grow from: none, 1, 2, 4, …"""
LONGEST_PAUSE = 60.0
LONGEST_WISH = 300.0
"""Seconds of a `Retry-After` that are waited at most."""
TRIED_AGAIN = frozenset({408, 425, 429, *range(500, 600)})


class NotPostedError(Exception):
    """Says why in words that hold no part of the address but its host: the rest of it may be a secret."""


def post(settings: WebhookSettings, delivery: str, document: Mapping[str, Any]) -> None:
    """Returns when it has been taken; takes as long as the tries and their pauses do. Raises `NotPostedError`.

    The body and `delivery` are the same in every try, so that whoever gets them can tell one twice. Redirects are not
    followed: what is signed for one place is none of another's business.
    """
    body = json.dumps(document).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"git-scopecraft/{__version__}",
        "X-Scopecraft-Event": str(document["event"]),
        "X-Scopecraft-Delivery": delivery,
    }
    if settings.secret_file:
        headers["X-Scopecraft-Signature"] = signature(_secret(settings.secret_file), body)
    status = _request(settings, body, headers)
    if not 200 <= status < 300:
        raise NotPostedError(f"{_host(settings)} answered {status}")


def signature(secret: bytes, body: bytes) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def _request(settings: WebhookSettings, body: bytes, headers: Mapping[str, str]) -> int:
    import urllib3
    from urllib3.exceptions import HTTPError, MaxRetryError
    from urllib3.response import BaseHTTPResponse

    class Retry(urllib3.Retry):
        def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
            wished = super().get_retry_after(response)
            return wished if wished is None else min(wished, LONGEST_WISH)

    retries = Retry(
        total=settings.attempts - 1,
        allowed_methods=None,
        status_forcelist=TRIED_AGAIN,
        backoff_factor=BACKOFF,
        backoff_max=LONGEST_PAUSE,
    )
    timeout = urllib3.Timeout(total=settings.timeout_seconds)
    try:
        with urllib3.PoolManager() as pool:
            url = str(settings.url)
            response = pool.request(
                "POST", url, body=body, headers=headers, retries=retries, timeout=timeout, redirect=False
            )
            return response.status
    except MaxRetryError as error:
        raise NotPostedError(f"{_host(settings)}: {_last_words(error.reason)}") from None
    except (HTTPError, ValueError, OSError) as error:
        raise NotPostedError(f"{_host(settings)}: {type(error).__name__}") from None


def _secret(file: str) -> bytes:
    try:
        secret = Path(file).expanduser().read_bytes().strip()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NotPostedError(f"{file}, which notify.webhook.secret_file names, cannot be read: {reason}") from None
    if not secret:
        raise NotPostedError(f"{file}, which notify.webhook.secret_file names, is empty")
    return secret


def _host(settings: WebhookSettings) -> str:
    return safe_line(urlsplit(str(settings.url)).hostname or "the webhook")


def _last_words(reason: object) -> str:
    """Of an error that begins with objects and addresses."""
    return safe_line(str(reason).rpartition(": ")[2], 200)
