"""The README does what it says: its page on adding a method is followed to the letter; papers' figures are theirs."""

from __future__ import annotations

import json
import os
import re
import site
import subprocess
import sys
from pathlib import Path

import pytest

from searchplat.methods import load_method

README = Path(__file__).parents[1] / "README.md"
FILES = {"toml": "pyproject.toml", "python": "lastitem.py", "yaml": "space.yaml"}

FULL = ("mrr", "ndcg@10", "recall@10")
"""What the methods table shows of a full ranking, in its order."""


def test_it_is_short_and_links_of_all_pages_lead_somewhere() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 300
    root = README.parent
    pages = [README, root / "spaces" / "README.md", *sorted((root / "docs").glob("*.md"))]
    broken = [
        f"{page.relative_to(root)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []
    listed = set(re.findall(r"\]\((\w+\.md)\)", (root / "docs" / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.name for page in pages if page.parent.name == "docs"} - {"README.md"}


def printed(method: str, row: str, data: str, *metrics: str, source: str = "") -> str:
    """The figures of one row of a paper's table, as the paper rounds them, from what the method has as `published`."""
    published = getattr(load_method(method), "published", ())
    (found,) = (p for p in published if (p.method, p.data) == (row, data) and source in p.source)
    digits = 3 if found.source.startswith("CRAMER") else 4
    return ", ".join(f"{found.metrics[name]:.{digits}f}" for name in metrics)


def of_the_paper(method: str) -> str:
    """What the last column of the methods table says of a method. A baseline has DARec's figures, Laser's, or none."""
    if method in ("darec", "mixrec"):
        own = {"darec": "DARec", "mixrec": "MixRec"}[method]
        return f"Scientific: {printed(method, own, 'scientific', *FULL)}"
    if method in ("cramer", "rearank"):
        names, row = ("sampled/recall@10", "sampled/ndcg@10"), method.upper()
        sasrec, bert4rec = (
            printed(method, f"{row} ({backbone})", "redial-full", *names) for backbone in ("SASRec", "BERT4Rec")
        )
        recall, ndcg = sasrec.split(", ")
        where = "ReDial" if method == "cramer" else "in CRAMER's paper, ReDial"
        return f"{where}, among 100 sampled items: R@10 {recall}, N@10 {ndcg} on SASRec; {bert4rec} on BERT4Rec"
    if method == "laser":
        return f"Scientific, on Llama2-7B: {printed(method, 'Laser-L', 'scientific', *FULL)}"
    if method == "promptbert":
        recall, ndcg = printed(method, "Prompt-BERT", "ml-1m", "sampled/recall@5", "sampled/ndcg@5").split(", ")
        return f"MovieLens 1M, among 100 sampled items: R@5 {recall}, N@5 {ndcg}"
    published = getattr(load_method(method), "published", ())
    for paper in ("DARec", "Laser"):
        for row in {p.method for p in published if p.source.startswith(paper) and p.data == "scientific"}:
            return f"in {paper}'s paper, Scientific: {printed(method, row, 'scientific', *FULL, source=paper)}"
    return ""


METHODS = README.parent / "docs" / "methods.md"


def cells(path: Path) -> dict[str, list[str]]:
    """The rows of a page's methods table by method, without its name."""
    rows = re.findall(r"^\| \[?`(\w+)`(?:\]\(.*?\))? \|(.*)\|$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {method: [cell.strip() for cell in rest.split("|")] for method, rest in rows}


def test_the_papers_own_figures_in_the_methods_table_are_what_the_papers_print() -> None:
    shown = {method: row[-1] for method, row in cells(METHODS).items()}
    assert {"darec", "cramer", "sasrec", "popularity"} <= set(shown)
    assert shown == {method: of_the_paper(method) for method in shown}


def test_the_readme_shows_the_ndcg_of_every_method_as_the_page_of_figures_has_it() -> None:
    full, short = cells(METHODS), cells(README)
    assert set(short) == set(full) == {path.stem for path in (README.parent / "spaces").glob("*.yaml")} | {"popularity"}
    for method, (_, _, _, valid, test, scientific, of_paper) in full.items():
        measured, _, cold = scientific.partition("; ")
        ndcg = [cell.split("; ")[0].split(", ")[1] if cell else "" for cell in (valid, test, measured)]
        assert short[method][2:6] == [*ndcg, cold], method
        printed = re.findall(r"0\.\d{3,4}\b", short[method][6])
        assert all(figure in of_paper for figure in printed), method
        assert bool(printed) == bool(of_paper), method


def page() -> str:
    text = README.read_text(encoding="utf-8")
    start = text.index("## Add a method")
    return text[start : text.index("\n## ", start)]


def test_the_page_on_adding_a_method_is_short() -> None:
    assert len(page().strip().splitlines()) <= 60


@pytest.mark.slow  # builds a package and runs a search
@pytest.mark.timeout(280)
def test_following_the_page_gives_a_method_that_a_search_runs(tmp_path: Path) -> None:
    for language, body in re.findall(r"```(\w+)\n(.*?)```", page(), flags=re.DOTALL):
        (tmp_path / FILES[language]).write_text(body, encoding="utf-8")
    command = re.search(r"`(pip install -e \. && searchplat search space\.yaml)`", page())
    assert command is not None

    # An environment beside this one, in which searchplat is installed already.
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    own = next((environment / "lib").glob("python*/site-packages"))
    outer = next(path for path in site.getsitepackages() if Path(path).is_dir())
    (own / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    for name, module in [("searchplat", "searchplat.cli"), ("pip", "pip._internal.cli.main")]:
        script = environment / "bin" / name
        script.write_text(f"#!{environment}/bin/python\nfrom {module} import main\nmain()\n")
        script.chmod(0o755)

    path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
    # The build backend comes from the test environment: no network in tests.
    variables = {**os.environ, "PATH": path, "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    variables.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        ["bash", "-c", command[1]], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=270
    )
    assert done.returncode == 0, done.stdout + done.stderr

    shown = subprocess.run(
        ["searchplat", "best", "space", "--json"], cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)
