from __future__ import annotations

import doctest

import pytest

from searchplat import environment
from searchplat.environment import allowed, reduced

SECRET = {
    "AWS_SECRET_ACCESS_KEY": "s", "AWS_ACCESS_KEY_ID": "s", "AWS_PROFILE": "s", "HF_TOKEN": "s", "OPENAI_API_KEY": "s",
    "MLFLOW_TRACKING_PASSWORD": "s", "MLFLOW_TRACKING_URI": "postgresql://a:b@c", "RAY_AUTH_TOKEN": "s",
    "RAY_REDIS_PASSWORD": "s", "TRANSFORMERS_TOKEN": "s", "XDG_SECRET": "s", "DATABASE_URL": "s", "https_proxy": "s",
    "SSH_AUTH_SOCK": "s", "RAY_ADDRESS": "10.0.0.1:6379",
}  # fmt: skip
HARMLESS = {
    "PATH": "/bin", "HOME": "/root", "LANG": "C", "LC_ALL": "C", "PYTHONPATH": "x", "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "0", "RAY_TMPDIR": "/tmp", "SEARCHPLAT_CACHE": "/c", "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(environment).failed == 0


def test_what_is_not_listed_is_left_out_and_what_sounds_secret_too() -> None:
    assert allowed({**SECRET, **HARMLESS}) == HARMLESS


def test_a_user_may_add_names() -> None:
    more = {"SEARCHPLAT_TRIAL_ENV": "DATABASE_URL, HF_TOKEN"}
    assert allowed({**SECRET, **more}) == {"DATABASE_URL": "s", "HF_TOKEN": "s", **more}


def test_the_environment_comes_back_with_what_was_added() -> None:
    own = {**SECRET, **HARMLESS}

    def start_ray() -> None:
        assert own == HARMLESS
        own["RAY_AUTH_MODE"] = "token"
        raise RuntimeError("it did not start")

    with pytest.raises(RuntimeError, match="did not start"), reduced(own):
        start_ray()
    assert own == {**SECRET, **HARMLESS, "RAY_AUTH_MODE": "token"}
