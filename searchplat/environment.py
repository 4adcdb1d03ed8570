"""Which environment variables a trial gets to see: those of this list, and no others.

A process of Ray inherits the environment of the process that started it, and with it every password that a shell
exports. Ray is therefore started with `allowed(os.environ)`. A method that needs more names it in
`SEARCHPLAT_TRIAL_ENV`, a list with commas.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

MORE = "SEARCHPLAT_TRIAL_ENV"
"""Names of further variables that trials may see, separated by commas."""

OTHERWISE = "SEARCHPLAT_OTHERWISE"
"""JSON of variables that a process on another machine takes over where that machine does not set them itself."""

NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "HOSTNAME", "TERM", "COLUMNS", "LINES", "NO_COLOR"),
        *("TZ", "LANG", "LANGUAGE", "TMPDIR", "TEMP", "TMP", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
        *("CURL_CA_BUNDLE", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM", MORE),
        *("SEARCHPLAT_CACHE", "SEARCHPLAT_DATA_DIR", "SEARCHPLAT_OFFLINE", "SEARCHPLAT_ROUTES", "SEARCHPLAT_RUNS"),
    }
)
PREFIXES = (
    *("LC_", "XDG_", "PYTHON", "RAY_", "TUNE_", "TRANSFORMERS_", "TORCH", "PYTORCH_", "TRITON_", "COVERAGE_"),
    *("CUDA_", "NVIDIA_", "NCCL_", "GLOO_", "HIP_", "ROCR_", "ROCM_", "HSA_", "UCX_", "NVPL_"),
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "VECLIB_", "GOTO_", "BLIS_", "MALLOC_", "OMPI_"),
)

_SECRET = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIAL", re.IGNORECASE
)
_NO_SECRETS = frozenset({"TOKENIZERS_PARALLELISM", "RAY_AUTH_TOKEN_PATH"})


def is_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret.

    >>> is_secret("MLFLOW_TRACKING_PASSWORD"), is_secret("AWS_SECRET_ACCESS_KEY"), is_secret("TOKENIZERS_PARALLELISM")
    (True, True, False)
    """
    return name not in _NO_SECRETS and _SECRET.search(name) is not None


def allowed(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that trials see.

    >>> allowed({"PATH": "/bin", "AWS_PROFILE": "x", "RAY_AUTH_TOKEN": "y", "OMP_NUM_THREADS": "2"})
    {'PATH': '/bin', 'OMP_NUM_THREADS': '2'}
    """
    more = {name.strip() for name in environment.get(MORE, "").split(",")}
    return {name: value for name, value in environment.items() if name in more or _listed(name)}


@contextmanager
def reduced(environment: MutableMapping[str, str]) -> Iterator[None]:
    """Within it, `environment` has only what trials see. No other thread may read it meanwhile."""
    kept = allowed(environment)
    removed = {name: value for name, value in environment.items() if name not in kept}
    for name in removed:
        del environment[name]
    try:
        yield
    finally:
        for name, value in removed.items():
            environment.setdefault(name, value)


def otherwise(variables: Mapping[str, str]) -> dict[str, str]:
    """What to send so that `adopt` sets these variables on a machine that has none of its own."""
    return {OTHERWISE: json.dumps(dict(variables))}


def adopt(environment: MutableMapping[str, str]) -> None:
    """Take over what was sent, but for what the machine sets itself.

    >>> here = {"SEARCHPLAT_CACHE": "/mine", **otherwise({"SEARCHPLAT_CACHE": "/x", "HF_HOME": "/y"})}
    >>> adopt(here)
    >>> here["SEARCHPLAT_CACHE"], here["HF_HOME"]
    ('/mine', '/y')
    """
    for name, value in json.loads(environment.get(OTHERWISE, "{}")).items():
        environment.setdefault(name, value)


def _listed(name: str) -> bool:
    # RAY_ADDRESS is that of another cluster than the one that is started here.
    return (name in NAMES or name.startswith(PREFIXES)) and name != "RAY_ADDRESS" and not is_secret(name)
