"""Turns what a route delivers into what the rest of the project reads; run once, the result is cached.

A converter gets a folder with the delivered files and replaces them there. `convert` runs it in a process of
its own, so that the asking process loads no torch and keeps none of the memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from searchplat.errors import AssetError


def convert(name: str, folder: Path) -> None:
    """Run the converter `name` on `folder`, in a process of its own.

    Raises:
        AssetError: If it fails; the text is the last line that it wrote.
    """
    quiet = {"TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "searchplat.assets.convert", name, str(folder)]
    outcome = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quiet}, check=False)
    if outcome.returncode != 0:
        last = (outcome.stderr.strip() or f"exit code {outcome.returncode}").splitlines()[-1]
        raise AssetError(f"converting by {name} failed: {last}")


def gguf_to_safetensors(folder: Path) -> None:
    """Replace `model.gguf` by `model.safetensors` (float32), its config and its tokenizer.

    The values are those of the quantised file, kept in float32: rounding Q4_1 products to bfloat16 would be
    a second loss. About 45 s and 1.5 GB of memory for 135 million parameters.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = folder / "model.gguf"
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=source.name, trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=source.name, dtype=torch.float32, trust_remote_code=False
    )
    # A model read from GGUF still claims to be quantised, and then refuses to be saved.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder, safe_serialization=True)
    source.unlink()
    _forget_this_run(folder)


_OF_THIS_RUN = ("transformers_version", "local_files_only", "is_local")


def _forget_this_run(folder: Path) -> None:
    """Drop what only tells how the conversion ran, so that equal content has equal digests everywhere."""
    for path in folder.glob("*config.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        kept = {key: value for key, value in content.items() if key not in _OF_THIS_RUN}
        path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


ML_100K_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
"""The flags of `u.item` from its sixth column on, as `u.genre` of the same archive lists them."""


def ml_100k_to_atomic(folder: Path) -> None:
    """Replace GroupLens' `u.data` and `u.item` by RecBole's atomic files of the same content.

    `u.data` is the `.inter` file less its header. Titles lose their last parenthesis, which becomes the year
    (so `... (1995) (V)` has the year `V`, as in RecBole's file), and the one film without a title is spelt
    `unkonwn` there; the catalogue pins the bytes.
    """
    ratings = (folder / "u.data").read_bytes()
    header = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    (folder / "ml-100k.inter").write_bytes(header + ratings)
    lines = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    for number, line in enumerate((folder / "u.item").read_text(encoding="latin-1").rstrip("\n").split("\n"), start=1):
        fields = line.split("|")
        if len(fields) != 5 + len(ML_100K_GENRES):
            raise AssetError(f"u.item:{number} must have {5 + len(ML_100K_GENRES)} fields, got {len(fields)}.")
        opening = fields[1].rfind("(")
        title, year = fields[1][:opening].strip(), fields[1][opening + 1 :].strip().removesuffix(")")
        if opening < 0:
            title = year = "unkonwn"
        genres = " ".join(genre for genre, flag in zip(ML_100K_GENRES, fields[5:], strict=True) if flag == "1")
        lines.append(f"{fields[0]}\t{title}\t{year}\t{genres}")
    (folder / "ml-100k.item").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "u.data").unlink()
    (folder / "u.item").unlink()


CONVERTERS: Mapping[str, Callable[[Path], None]] = {
    "gguf-to-safetensors": gguf_to_safetensors,
    "ml-100k-to-atomic": ml_100k_to_atomic,
}
"""Converters by the name that the catalogue uses."""

if __name__ == "__main__":
    CONVERTERS[sys.argv[1]](Path(sys.argv[2]))
