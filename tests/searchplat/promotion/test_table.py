from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from searchplat.contract import Published
from searchplat.errors import InputError
from searchplat.promotion.comparisons import read_ranks
from searchplat.promotion.formats import control_lines, ranked_lines
from searchplat.promotion.record import Promotion
from searchplat.promotion.statistics import user_means
from searchplat.promotion.table import fidelity_of, make_table

Make = Callable[..., Promotion]

FEW = 500


def test_rows_are_the_winner_and_the_controls_with_their_places(promoted: Make) -> None:
    table = make_table([promoted()], resamples=FEW)
    (section,) = table.sections
    assert [(row.label, row.role) for row in section.rows] == [
        ("darec trial-3", "winner"), ("darec default", "control"), ("popularity", "control"),
    ]  # fmt: skip
    assert [row.cells["mrr"].place for row in section.rows] == [1, 2, 3]
    first = section.rows[0]
    assert (first.seeds, first.seconds, first.peak_bytes, first.parameters) == ((1, 2, 3), 12.0, 2.0**30, 1234)
    assert (section.users, table.openings) == (300, {"first": 12})


def test_all_candidates_are_shown_on_demand(promoted: Make) -> None:
    table = make_table([promoted()], all_candidates=True, resamples=FEW)
    assert [row.role for row in table.sections[0].rows] == ["winner", "candidate", "control", "control"]
    assert table.comparisons == 4  # two rows with the best control, on two metrics


def test_the_winner_is_tested_against_the_best_control_with_seeds_averaged(promoted: Make) -> None:
    one = promoted()
    (comparison,) = make_table([one], resamples=FEW).sections[0].rows[0].cells["mrr"].comparisons
    means = [
        user_means("mrr", np.stack([read_ranks(r, r.ranks) for r in one.finals(n)])) for n in ("trial-3", "default")
    ]
    assert comparison.reference == "darec default"
    assert comparison.p["t"] == pytest.approx(stats.ttest_rel(*means).pvalue)
    assert comparison.difference == pytest.approx(float((means[0] - means[1]).mean()))
    assert comparison.low < comparison.difference < comparison.high


def test_metrics_among_sampled_items_are_tested_on_their_own_ranks(promoted: Make) -> None:
    metric = "sampled/mrr"
    promotion = promoted()
    runs = []
    for run in promotion.runs:
        assert run.ranks is not None
        if run.candidate != "popularity":  # a control that ranks among all items only
            folder = run.ranks.with_suffix("")
            folder.mkdir()
            among_all = np.load(run.ranks)
            np.save(folder / "ranks.npy", among_all)
            np.save(folder / "sampled-ranks.npy", some := 1 + among_all // 4)
            found = {**run.test, metric: float((1 / some).mean())}
            run = replace(run, ranks=folder / "ranks.npy", test=found)
        runs.append(run)
    one = replace(promotion, runs=tuple(runs), metrics=("mrr", metric))
    rows = make_table([one], resamples=FEW).sections[0].rows
    (comparison,) = rows[0].cells[metric].comparisons
    ours, theirs = (
        np.mean([1 / np.load(r.ranks.with_name("sampled-ranks.npy")) for r in one.finals(n)], axis=0)  # type: ignore[union-attr]
        for n in ("trial-3", "default")
    )
    assert comparison.difference == pytest.approx(float((ours - theirs).mean()))
    assert comparison.difference != pytest.approx(rows[0].cells["mrr"].comparisons[0].difference)
    assert metric not in next(row for row in rows if row.candidate == "popularity").cells


def test_a_clear_winner_is_marked_and_noise_is_not(promoted: Make) -> None:
    table = make_table([promoted()], resamples=FEW)
    assert table.mark(table.sections[0].rows[0].cells["mrr"]) == "**"
    assert table.mark(table.sections[0].rows[1].cells["mrr"]) == ""
    equal = make_table([promoted(quality={"trial-1": 8.0, "default": 8.0})], resamples=FEW)
    assert equal.mark(equal.sections[0].rows[0].cells["mrr"]) == ""
    worse = make_table([promoted(quality={"trial-1": 12.0, "default": 4.0})], resamples=FEW)
    assert worse.mark(worse.sections[0].rows[0].cells["mrr"]) == "--"


def test_all_comparisons_of_a_table_are_corrected_together(promoted: Make) -> None:
    two = [promoted(), promoted("second", data="ml-100k", users=200)]
    together = make_table(two, resamples=FEW)
    found = [c for s in together.sections for r in s.rows for cell in r.cells.values() for c in cell.comparisons]
    assert together.comparisons == len(found) == 4
    np.testing.assert_allclose([c.bh["t"] for c in found], stats.false_discovery_control([c.p["t"] for c in found]))
    assert min(c.holm["t"] for c in found) == pytest.approx(4 * min(c.p["t"] for c in found))


def test_named_baselines_come_after_the_best_control(promoted: Make) -> None:
    table = make_table([promoted()], against=["popularity"], resamples=FEW)
    found = table.sections[0].rows[0].cells["mrr"].comparisons
    assert [one.reference for one in found] == ["darec default", "popularity"]
    with pytest.raises(InputError, match=r"--against: must be one of .*darec default.*got 'nobody'"):
        make_table([promoted()], against=["nobody"])


def test_searches_on_the_same_users_share_a_section_and_equal_labels_name_their_search(promoted: Make) -> None:
    titles = promoted("titles", data_options={"attributes": ["title"]}, fingerprint="a" * 64)
    everything = promoted("everything", method="sasrec", fingerprint="b" * 64)
    (section,) = make_table([titles, everything], resamples=FEW).sections
    labels = [row.label for row in section.rows]
    assert labels[:2] == ["darec trial-3", "sasrec trial-3"]
    assert {"popularity (titles)", "popularity (everything)"} <= set(labels)


@pytest.mark.parametrize("change", [{"data_options": {"core": 5}}, {"users": 200}, {"data_fraction": 0.5}])
def test_other_users_are_another_section(promoted: Make, change: dict[str, object]) -> None:
    table = make_table([promoted(), promoted("second", **change)], resamples=FEW)
    assert [len(section.rows) for section in table.sections] == [3, 3]
    assert [section.title for section in table.sections] == ["toy (first)", "toy (second)"]


def test_equal_options_with_another_hash_are_another_section(promoted: Make) -> None:
    table = make_table([promoted(fingerprint="a" * 64), promoted("second", fingerprint="b" * 64)], resamples=FEW)
    assert [section.title for section in table.sections] == ["toy (aaaaaaaa)", "toy (bbbbbbbb)"]


def test_without_controls_or_ranks_nothing_is_tested(promoted: Make) -> None:
    alone = make_table([promoted(quality={"trial-1": 3.0})], resamples=FEW)
    assert alone.comparisons == 0
    one = promoted()
    bare = replace(one, runs=tuple(replace(run, ranks=None) for run in one.runs))
    assert make_table([bare], resamples=FEW).comparisons == 0


def test_published_figures_stand_beside_ours_only_for_as_many_users(promoted: Make) -> None:
    same = Published("DARec", "toy", 300, 40, {"mrr": 0.1}, "Table 2")
    other = replace(same, users=999)
    untold = replace(same, users=None)
    elsewhere = [replace(same, data="games"), replace(same, metrics={"sampled/mrr@10": 0.1})]
    (section,) = make_table([promoted()], published=[same, other, untold, *elsewhere], resamples=FEW).sections
    assert (section.published, section.other_data) == ((same,), (other, untold))


def test_a_promotion_without_a_finished_run_and_unreadable_ranks_are_named(promoted: Make) -> None:
    one = promoted()
    with pytest.raises(InputError, match="promotion 1 has no finished final run; go on with: searchplat promote first"):
        make_table([replace(one, runs=())])
    path = one.runs[0].ranks
    assert path is not None
    path.write_bytes(b"no array")
    with pytest.raises(InputError, match=r"trial-3-1\.npy: the ranks of trial-3 cannot be read"):
        make_table([one])


def test_fidelity_is_that_of_search_scores_and_final_ones(promoted: Make) -> None:
    one = promoted()
    assert fidelity_of(one).tau == pytest.approx(1)
    assert set(fidelity_of(one).candidates) == {"trial-3", "trial-5", "default", "popularity"}
    turned = replace(one, search_scores={name: -score for name, score in one.search_scores.items()})
    assert fidelity_of(turned).tau == pytest.approx(-1)


def test_what_ranks_other_items_stands_in_a_section_of_its_own(promoted: Make) -> None:
    one = promoted("first", data_options={"rank_met": True})
    other = promoted("second", data_options={"rank_met": False})
    table = make_table([one, other], resamples=FEW)
    assert [(section.title, len(section.rows)) for section in table.sections] == [
        ("toy: all items, met or not", 3), ("toy: items that the user has not met", 3),
    ]  # fmt: skip
    assert ranked_lines(table)[-1] == "Figures of sections that rank other items do not compare."
    alike = make_table([one, promoted("second", data_options={"rank_met": True})], resamples=FEW)
    assert [section.title for section in alike.sections] == ["toy"]
    assert ranked_lines(alike) == ["Targets are ranked among all items, met or not."]


def test_a_promotion_from_before_is_taken_apart_by_what_its_configurations_ranked(promoted: Make) -> None:
    one = promoted()
    runs = [replace(r, config={"exclude_history": r.candidate == "popularity"}) for r in one.runs]
    table = make_table([replace(one, runs=tuple(runs))], resamples=FEW)
    assert [[row.label for row in section.rows] for section in table.sections] == [
        ["darec trial-3", "darec default"], ["popularity"],
    ]  # fmt: skip
    assert {c.reference for c in table.sections[0].rows[0].cells["mrr"].comparisons} == {"darec default"}


def test_a_winner_behind_a_control_is_said_to_be(promoted: Make) -> None:
    table = make_table([promoted(quality={"trial-3": 9.0, "markov": 4.0, "popularity": 20.0})], resamples=FEW)
    rival = next(row for row in table.sections[0].rows if row.candidate == "markov")
    assert control_lines(table) == [
        f"darec trial-3: on {metric} below the control darec markov ({rival.cells[metric].spread.mean:.4f})."
        for metric in table.metrics
    ]
    assert control_lines(make_table([promoted()], resamples=FEW)) == []


def test_a_programs_own_figures_stand_by_themselves_without_places_and_tests(promoted: Make) -> None:
    promotions = []
    for name in ("first", "second"):
        one = promoted(search=name)
        runs = tuple(replace(run, ranks=None, parameters=None) for run in one.runs)
        promotions.append(replace(one, search=name, runs=runs, num_users=0, data="none", data_fingerprint="none"))
    table = make_table(promotions, resamples=FEW)
    assert [section.title for section in table.sections] == ["none (first)", "none (second)"]
    assert table.comparisons == 0
    cells = [row.cells["mrr"] for section in table.sections for row in section.rows]
    assert {cell.place for cell in cells} == {0}
