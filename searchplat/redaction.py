"""Takes secrets out of text before it is shown, stored or sent: passwords in URLs, tokens, values of secret variables.

What goes into a ledger, to MLflow, onto a report or a terminal passes here first. `environment` names the variables
whose values are secret; `hide` adds what else this process has been given.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator

from searchplat.environment import is_secret

HIDDEN = "***"

_SHORTEST = 8
"""A secret of fewer characters is not looked for by its value: it would be found in words that are none."""

# The user part as a whole: a token often stands there without a colon, and a password may hold an unescaped @.
_USER = re.compile(r"://[^\s/?#\"']*@")
_OPTION = re.compile(
    r"([?&][^=&\s]*(?:password|passwd|pwd|token|secret|api_?key|signature|sslkey)[^=&\s]*=)[^&\s\"']+", re.IGNORECASE
)
_NAMED = re.compile(
    # MLFLOW_TRACKING_PASSWORD=..., 'AWS_SECRET_ACCESS_KEY': '...', as environments are printed
    r"(\b[A-Z][A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_KEY|CREDENTIALS)[A-Z0-9_]*[\"']?\s*[=:]\s*)(?!\d{1,6}\b)"
    r"(\"[^\"\n]+\"|'[^'\n]+'|[^\s\"',;]+)"
)
_SPOKEN = re.compile(
    # password=..., "secret": "..."; not token: that word has another meaning here
    r"(\b(?:password|passwd|secret|api_?key)[\"']?\s*[=:]\s*)(\"[^\"\n]+\"|'[^'\n]+'|[^\s\"',;()\[\]{}]{6,})",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/-]{12,}=*", re.IGNORECASE)
_TOKEN = re.compile(
    r"""\b(?:
        hf_[A-Za-z0-9]{20,}                                  # Hugging Face
      | gh[pousr]_[A-Za-z0-9]{30,} | github_pat_\w{30,}      # GitHub
      | glpat-[\w-]{20,}                                     # GitLab
      | sk-[A-Za-z0-9_-]{20,}                                # OpenAI, Anthropic
      | xox[abeoprs]-[A-Za-z0-9-]{10,}                       # Slack
      | (?:AKIA|ASIA)[0-9A-Z]{16}                            # AWS
      | AIza[\w-]{35}                                        # Google
      | dapi[0-9a-f]{32}                                     # Databricks
      | eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}             # JSON web tokens
      | hooks\.slack\.com/[a-z]+/[\w/-]{10,}                 # webhooks: who has the URL may write
      | discord(?:app)?\.com/api/webhooks/\d+/[\w-]{10,}
    )""",
    re.VERBOSE,
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)

_given: set[str] = set()
_lock = threading.Lock()


def hide(secret: str | None) -> None:
    """From now on, take this text out wherever it stands; what is shorter than 8 characters is not remembered."""
    if secret is not None and len(secret) >= _SHORTEST:
        with _lock:
            _given.add(secret)


def redact(text: str) -> str:
    """`text` with `***` in place of every secret that can be told for one.

    >>> redact("postgresql://ann:pa55@db/mlflow?sslmode=on&password=x")
    'postgresql://***@db/mlflow?sslmode=on&password=***'
    >>> redact("401 for hf_abcdefghijklmnopqrstuv, WANDB_TOKEN=abc, MAX_TOKENS=512")
    '401 for ***, WANDB_TOKEN=***, MAX_TOKENS=512'
    """
    for secret in _values():
        text = text.replace(secret, HIDDEN)
    text = _PRIVATE_KEY.sub(HIDDEN, text)
    text = _OPTION.sub(rf"\1{HIDDEN}", _USER.sub(f"://{HIDDEN}@", text))
    text = _TOKEN.sub(HIDDEN, text)
    for named in (_NAMED, _SPOKEN, _HEADER):
        text = named.sub(rf"\1{HIDDEN}", text)
    return text


def secrets_in(text: str) -> Iterator[tuple[int, str]]:
    """Where a text that somebody wrote by hand holds a secret beyond doubt: the offset of each, and what it is."""
    for pattern, what in (
        (re.compile(r"://[^\s/?#\"':@]*:[^\s/?#\"']+@"), "a URL with a password"),
        (_TOKEN, "an access token"),
        (_PRIVATE_KEY, "a private key"),
    ):
        for match in pattern.finditer(text):
            yield match.start(), what


def _values() -> list[str]:
    """What is known to be secret, the longest first, so that none is left in part."""
    own = {value for name, value in list(os.environ.items()) if is_secret(name) and len(value) >= _SHORTEST}
    with _lock:
        return sorted(own | _given, key=len, reverse=True)
