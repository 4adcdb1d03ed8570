"""What `results.csv` says: a table of regrets and a picture of them against the number of evaluations.

python tests/benchmarks/searchers/report.py                       the table as Markdown
python tests/benchmarks/searchers/report.py --picture regrets.png

With the searchers of other projects: `--results results.csv outside/results.csv`, of this folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from outside.catalogue import OUTSIDE
from run import CHECKPOINTS, RANDOM_POINTS, RESULTS, SEARCHERS, curve, finished

Curves = dict[tuple[str, str], dict[int, np.ndarray[Any, Any]]]
"""By problem and searcher, then by seed."""


def curves(results: Path, column: str) -> Curves:
    """All finished runs of the searchers as they are; variants get a name of their own."""
    found: Curves = {}
    for (problem, searcher, seed, variant), row in finished(results).items():
        name = f"{searcher} {variant}" if variant else searcher
        found.setdefault((problem, name), {})[seed] = curve(row[column])
    return found


def at(runs: Mapping[int, np.ndarray[Any, Any]], evaluations: int) -> dict[int, float]:
    """Regret of every seed that got so far. A space that was used up before keeps its last."""
    index = evaluations - RANDOM_POINTS
    return {seed: float(c[index]) for seed, c in runs.items() if len(c) > index}


def table(found: Curves) -> str:
    """A row a problem and checkpoint: mean regret ± standard error over the seeds that all searchers have.

    The last columns divide PR's mean by the best other's, and count the seeds on which PR is better than that one.
    """
    problems = list(dict.fromkeys(problem for problem, _ in found))
    names = list(dict.fromkeys(name for _, name in found))
    order = [*SEARCHERS, *OUTSIDE]
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    lines = [
        "| problem | evaluations | seeds | " + " | ".join(names) + " | pr / best other | pr better |",
        "|---|---|---|" + "---|" * (len(names) + 2),
    ]
    for problem in problems:
        for evaluations in CHECKPOINTS:
            here = {name: at(found.get((problem, name), {}), evaluations) for name in names}
            here = {name: runs for name, runs in here.items() if runs}
            shared = sorted(set.intersection(*(set(runs) for runs in here.values()))) if here else []
            if not shared:
                continue
            values = {name: np.array([runs[seed] for seed in shared]) for name, runs in here.items()}
            cells = [_cell(values.get(name)) for name in names]
            lines.append(
                f"| {problem} | {evaluations} | {len(shared)} | " + " | ".join(cells) + " | " + _compared(values) + " |"
            )
    return "\n".join(lines)


def overall(found: Curves) -> str:
    """Mean regret over the problems at each checkpoint, over the seeds that all have; and where PR is clearly behind.

    Clearly: by more than one standard error of the difference, seeds paired, to the best other searcher there.
    """
    problems = list(dict.fromkeys(problem for problem, _ in found))
    names = [name for name in (*SEARCHERS, *OUTSIDE) if all((problem, name) in found for problem in problems)]
    lines = ["| evaluations | " + " | ".join(names) + " | pr / best other |", "|---|" + "---|" * (len(names) + 1)]
    behind = []
    for evaluations in CHECKPOINTS:
        means: dict[str, list[float]] = {name: [] for name in names}
        for problem in problems:
            here = {name: at(found[problem, name], evaluations) for name in names}
            shared = sorted(set.intersection(*(set(runs) for runs in here.values())))
            values = {name: np.array([here[name][seed] for seed in shared]) for name in names}
            for name in names:
                means[name].append(float(values[name].mean()))
            best = min((name for name in names if name != "pr"), key=lambda name: values[name].mean())
            difference = values["pr"] - values[best]
            error = difference.std(ddof=1) / len(shared) ** 0.5
            if difference.mean() > error:
                behind.append(f"{problem} at {evaluations}: {difference.mean():.3f} ± {error:.3f} behind {best}")
        mean = {name: float(np.mean(regrets)) for name, regrets in means.items()}
        best = min((name for name in names if name != "pr"), key=lambda name: mean[name])
        cells = " | ".join(f"{mean[name]:.3f}" for name in names)
        lines.append(f"| {evaluations} | {cells} | {mean['pr'] / mean[best]:.2f} ({best}) |")
    return "\n".join([*lines, "", "clearly behind: " + ("; ".join(behind) or "nowhere")])


def pairwise(found: Curves) -> str:
    """PR beside each searcher of another project, on the problems and seeds that this one has at each checkpoint.

    Such searchers take seconds to minutes for a point, so each has runs of its own number. A difference is PR's mean
    regret less theirs, seeds paired, every problem counted alike; below 0 PR is ahead.
    """
    lines = [
        "| searcher | evaluations | problems | runs | its regret | pr | pr less it | pr / it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in OUTSIDE:
        for evaluations in CHECKPOINTS:
            theirs, own, squares, runs = [], [], [], 0
            for problem in dict.fromkeys(problem for problem, _ in found):
                here = [at(found.get((problem, one), {}), evaluations) for one in (name, "pr")]
                shared = sorted(set(here[0]) & set(here[1]))
                if len(shared) < 2:
                    continue
                values, pr = (np.array([one[seed] for seed in shared]) for one in here)
                theirs.append(float(values.mean()))
                own.append(float(pr.mean()))
                squares.append(float((pr - values).var(ddof=1)) / len(shared))
                runs += len(shared)
            if theirs:
                mean, mine = float(np.mean(theirs)), float(np.mean(own))
                error = sum(squares) ** 0.5 / len(squares)
                lines.append(
                    f"| {name} | {evaluations} | {len(theirs)} | {runs} | {mean:.3f} | {mine:.3f} "
                    f"| {mine - mean:+.3f} ± {error:.3f} | {mine / mean:.2f} |"
                )
    return "\n".join(lines)


def _cell(values: np.ndarray[Any, Any] | None) -> str:
    if values is None:
        return ""
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{values.mean():.3f} ± {error:.3f}"


def _compared(values: Mapping[str, np.ndarray[Any, Any]]) -> str:
    others = {name: runs for name, runs in values.items() if name in {*SEARCHERS, *OUTSIDE} - {"pr"}}
    if "pr" not in values or not others:
        return " | "
    best = min(others, key=lambda name: others[name].mean())
    mine, theirs = values["pr"], others[best]
    ratio = mine.mean() / theirs.mean() if theirs.mean() > 0 else float("nan")
    return f"{ratio:.2f} ({best}) | {int((mine < theirs).sum())} of {len(mine)}"


def picture(found: Curves, path: Path) -> None:
    """Mean regret of the best observed point against evaluations, with one standard error, a panel a problem."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    problems = list(dict.fromkeys(problem for problem, _ in found))
    columns = min(4 if len(problems) > 6 else 3, len(problems))
    rows = -(-len(problems) // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(3.6 * columns, 2.8 * rows), squeeze=False, layout="constrained"
    )
    names: Sequence[str] = [name for name in (*SEARCHERS, *OUTSIDE) if any(n == name for _, n in found)]
    own = dict(zip(SEARCHERS, ("#888888", "#e0a030", "#3080c0", "#40a060", "#c03040"), strict=True))
    others = zip(
        OUTSIDE, ("#8050b0", "#806040", "#d070c0", "#203060", "#609090", "#a0a000", "#50c0d0", "#000000"), strict=True
    )
    colours = own | dict(others)
    for panel, problem in zip(panels.flat, problems, strict=False):
        for name in names:
            runs = list(found.get((problem, name), {}).values())
            if not runs:
                continue
            length = min(map(len, runs))
            stacked = np.stack([c[:length] for c in runs])
            x = np.arange(RANDOM_POINTS, RANDOM_POINTS + length)
            mean, error = stacked.mean(0), stacked.std(0, ddof=min(1, len(runs) - 1)) / len(runs) ** 0.5
            panel.plot(x, mean, label=name, color=colours[name], linewidth=1.4)
            panel.fill_between(x, mean - error, mean + error, color=colours[name], alpha=0.2, linewidth=0)
        panel.set_title(problem, fontsize=9)
        panel.tick_params(labelsize=7)
        panel.set_ylim(bottom=0)
    for panel in panels.flat[len(problems) :]:
        panel.set_visible(False)
    lines = {line.get_label(): line for panel in panels.flat for line in panel.get_lines()}
    figure.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=len(lines), fontsize=9, frameon=False)
    figure.supxlabel("evaluations", fontsize=9)
    figure.supylabel("regret of the best observed point (1: mean random point)", fontsize=9)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main() -> int:
    """Print the table; draw the picture if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, nargs="+", default=[RESULTS])
    parser.add_argument("--problems", nargs="+", help="only these")
    parser.add_argument("--searchers", nargs="+", help="only these: a row is of the seeds that all of them have")
    parser.add_argument("--pairwise", action="store_true", help="PR beside each searcher of other projects, no more")
    parser.add_argument("--column", choices=["observed", "visited"], default="observed")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    found: Curves = {}
    for path in arguments.results:
        for identity, runs in curves(path, arguments.column).items():
            problem, searcher = identity
            if problem in (arguments.problems or [problem]) and searcher in (arguments.searchers or [searcher]):
                found.setdefault(identity, {}).update(runs)
    if arguments.pairwise:
        print(pairwise(found))
        return 0
    print(table(found))
    if all(any(name == searcher for _, name in found) for searcher in ("pr", "random")):
        print(f"\n{overall(found)}")
    if arguments.picture:
        picture(found, arguments.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
