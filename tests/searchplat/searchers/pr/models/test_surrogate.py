from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from searchplat.searchers.pr.encoding import Axis, Encoding, Kind
from searchplat.searchers.pr.models import subset as subsets
from searchplat.searchers.pr.models import surrogate
from searchplat.searchers.pr.models.kernel import FAMILIES, Hyper, Kernel
from searchplat.searchers.pr.models.prior_mean import PriorMean
from searchplat.searchers.pr.models.subset import subset
from searchplat.searchers.pr.models.surrogate import FitError, fit, unfitted

LAYOUT = Encoding([Axis(f"b{i}", Kind.BIT, 2, i // 3) for i in range(12)])
MIXED = Encoding(
    [
        *(Axis(f"b{i}", Kind.BIT, 2, i // 2) for i in range(4)),
        Axis("kind", Kind.CATEGORICAL, 3),
        Axis("size", Kind.ORDINAL, 4),
        Axis("rate", Kind.REAL, 0),
    ]
)


def points(encoding: Encoding, count: int, seed: int = 0) -> Tensor:
    return encoding.features(encoding.random(count, torch.Generator().manual_seed(seed)))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_kernel(kernel: Kernel, encoding: Encoding, hyper: Hyper, f: Tensor, g: Tensor) -> float:
    """The module's table, written out with loops over axes and pairs."""
    relevance, variances, rate = hyper.relevance_A, torch.stack(hyper.variances), hyper.rate
    r = [float(relevance[a]) for a in encoding.axis_of_column]
    scale = [1.0 if encoding.axes[a].kind is not Kind.CATEGORICAL else 0.75 for a in encoding.axis_of_column]
    w = [a * b for a, b in zip(r, scale, strict=True)]
    d = len(w)
    layer = [encoding.axes[a].layer for a in encoding.axis_of_column]
    total = 1.0
    for part, v in zip(kernel.parts, variances.tolist(), strict=True):
        if part == "main":
            total += v / encoding.width * sum(w[i] * float(f[i] * g[i]) for i in range(d))
        elif part == "general":
            total += v * math.exp(-float(rate) / 4 * sum(w[i] * float(f[i] - g[i]) ** 2 for i in range(d)))
        else:
            apart = {"pairs": None, "within": 0, "between": 1}[part]
            chosen = []
            for i in range(d):
                for j in range(d):
                    if part == "pairs":
                        if i < j:
                            chosen.append((i, j))
                        continue
                    one, other = layer[i], layer[j]
                    if one is not None and other is not None and other - one == apart and (apart == 1 or i < j):
                        chosen.append((i, j))
            norm = sum(w[i] * w[j] for i, j in chosen)
            if part == "pairs":
                # Normalised over axes, not over columns: a categorical axis counts once.
                norm = (encoding.width**2 - float((relevance**2).sum())) / 2
            total += v / norm * sum(w[i] * w[j] * float(f[i] * f[j] * g[i] * g[j]) for i, j in chosen)
    return total


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("encoding", [LAYOUT, MIXED], ids=["layout", "mixed"])
def test_the_kernel_is_its_formula(family: str, encoding: Encoding) -> None:
    kernel = Kernel(encoding, FAMILIES[family])
    hyper = kernel.unpack(kernel.start() + 0.5 * normal(kernel.size))
    f, g = points(encoding, 4), points(encoding, 3, 1)

    covariance = kernel(hyper, f, g)

    slow = [[slow_kernel(kernel, encoding, hyper, a, b) for b in g] for a in f]
    torch.testing.assert_close(covariance, torch.tensor(slow, dtype=torch.float64))
    torch.testing.assert_close(kernel.diagonal(hyper, f), kernel(hyper, f, f).diagonal())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_part_is_one_on_the_diagonal_of_a_layout(family: str) -> None:
    kernel = Kernel(LAYOUT, FAMILIES[family])
    hyper = kernel.unpack(kernel.start() + 0.5 * normal(kernel.size))

    torch.testing.assert_close(
        kernel.diagonal(hyper, points(LAYOUT, 5)), (1 + torch.stack(hyper.variances).sum()).expand(5)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_covariances_are_positive(family: str) -> None:
    kernel = Kernel(MIXED, FAMILIES[family])
    hyper = kernel.unpack(kernel.start() + 0.5 * normal(kernel.size))
    f = points(MIXED, 60)

    assert float(torch.linalg.eigvalsh(kernel(hyper, f, f)).min()) > -1e-9


def test_noise_is_learned() -> None:
    f = points(LAYOUT, 150)
    signal = f[:, 0] + f[:, 1] * f[:, 2] + 0.5 * f[:, 4]
    signal = (signal - signal.mean()) / signal.std()
    for deviation in (0.05, 0.6):
        y = signal + deviation * normal(150)
        model = fit(LAYOUT, f, y, "layers")[0]
        assert 0.5 * deviation < model.noise**0.5 < 1.6 * deviation + 0.05


def test_relevant_bits_and_layers_are_found() -> None:
    f = points(LAYOUT, 120)
    y = 2 * f[:, 0] + f[:, 1] * f[:, 2] + 0.2 * normal(120)
    model = fit(LAYOUT, f, (y - y.mean()) / y.std(), "pairs")[0]

    relevance = model.hyper.relevance_A

    assert float(relevance[:3].min()) > 2 * float(relevance[3:].max())


def test_free_relevances_are_for_data_that_ask_for_them() -> None:
    """A few axes that do all, seen often, want free relevances; few points of an even function do not."""
    wide = Encoding([Axis(f"b{i}", Kind.BIT, 2, i // 3) for i in range(36)])
    f = points(wide, 120)
    few = f[:, 0] + f[:, 1] * f[:, 2] + f[:, 20] * f[:, 0]
    shares = []
    for features, y in ((f, few), (f[:25], f[:25].sum(1))):
        y = y + 0.3 * y.std() * normal(len(y))
        models = fit(wide, features, (y - y.mean()) / y.std(), "full")
        even = [m.weight for m in models if float(m.hyper.relevance_A.max() / m.hyper.relevance_A.min()) < 2]
        shares.append(sum(even))

    assert shares[0] < 0.1
    assert shares[1] > 0.2


def test_the_fitted_variances_tell_which_parts_made_the_data() -> None:
    f = points(LAYOUT, 150)
    far_apart = f[:, 0] * f[:, 9] + f[:, 1] * f[:, 10] - f[:, 2] * f[:, 11] + f[:, 3] * f[:, 8] + 0.1 * normal(150)
    nearby = f[:, 0] * f[:, 1] + f[:, 2] * f[:, 4] - f[:, 6] * f[:, 7] + f[:, 8] * f[:, 10] + 0.1 * normal(150)

    for y, structured in ((far_apart, False), (nearby, True)):
        model = fit(LAYOUT, f, (y - y.mean()) / y.std(), "full")[0]
        variance = dict(zip(model.kernel.parts, map(float, model.hyper.variances), strict=True))
        assert (variance["within"] + variance["between"] > variance["pairs"]) == structured


def test_repeats_of_a_point_enter_with_their_variance() -> None:
    """Repeats in separate rows give the posterior of one row with the mean and a share of the noise."""
    f = points(LAYOUT, 10)
    y = normal(10)
    repeated = torch.cat([f, f[:1], f[:1]])
    model = fit(LAYOUT, repeated, torch.cat([y, y[:1] + 0.3, y[:1] - 0.9]), "general")[0]

    kernel, hyper = model.kernel, model.hyper
    noise = torch.full((10,), model.noise + 1e-8, dtype=torch.float64)
    noise[0] /= 3
    once = y.clone()
    once[0] += (0.3 - 0.9) / 3
    asked = points(LAYOUT, 5, 3)
    mean = kernel(hyper, asked, f) @ torch.linalg.solve(kernel(hyper, f, f) + noise.diag(), once)

    torch.testing.assert_close(model.mean(asked), mean)


def test_posterior_agrees_with_its_joint_form() -> None:
    f = points(MIXED, 30)
    model = fit(MIXED, f, normal(30), "pairs")[0]
    asked = points(MIXED, 6, 5)

    mean, variance = model.posterior(asked)
    joint_mean, covariance = model.joint(asked)

    torch.testing.assert_close(mean, joint_mean)
    torch.testing.assert_close(variance, covariance.diagonal())


@pytest.mark.parametrize("encoding", [LAYOUT, MIXED], ids=["layout", "mixed"])
def test_the_gradient_of_the_evidence_is_right(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hand-made gradient against finite differences, through the optimiser that receives it."""
    checked = 0

    def check(function, start, **_):  # type: ignore[no-untyped-def]
        nonlocal checked
        at = start + 0.3 * normal(len(start)).numpy()
        value, gradient = function(at)
        for i in range(len(at)):
            step = 1e-5
            up, down = at.copy(), at.copy()
            up[i] += step
            down[i] -= step
            slope = (function(up)[0] - function(down)[0]) / (2 * step)
            assert abs(slope - gradient[i]) < 1e-4 * max(1, abs(gradient[i]))
            checked += 1
        return type("Result", (), {"x": start, "fun": value})

    monkeypatch.setattr(surrogate, "minimize", check)
    fit(encoding, points(encoding, 20), normal(20), "full")

    assert checked == 2 * Kernel(encoding, FAMILIES["full"]).size  # with nearly equal and with free relevances


def test_a_fit_of_nonsense_says_so_and_the_prior_serves() -> None:
    f = points(LAYOUT, 6)
    with pytest.raises(FitError, match="has no finite marginal likelihood"):
        fit(LAYOUT, f, torch.full((6,), torch.nan, dtype=torch.float64), "general")

    model = unfitted(LAYOUT, f, normal(6))
    assert bool(torch.isfinite(model.mean(f)).all())


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subset that begins early, and nothing remembered."""
    surrogate._fits.clear()
    for name, value in (("MOST_FITTED", 40), ("REFITTED", 10), ("MOST_KNOWN", 60)):
        monkeypatch.setattr(subsets, name, value)


@pytest.mark.usefixtures("_small")
def test_large_histories_are_fitted_on_a_part() -> None:
    f = points(LAYOUT, 100)
    y = f[:, 0] + 0.1 * normal(100)

    assert [len(fit(LAYOUT, f[:n], y[:n], "general")[0].alpha_N) for n in (60, 100)] == [60, 60]


@pytest.mark.usefixtures("_small")
def test_up_to_so_many_points_nothing_is_approximated(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = points(LAYOUT, 40), normal(40)
    small = fit(LAYOUT, x, y, "full")
    monkeypatch.undo()
    exact = fit(LAYOUT, x, y, "full")
    assert [m.weight for m in small] == [m.weight for m in exact]
    assert all(torch.equal(a.alpha_N, b.alpha_N) for a, b in zip(small, exact, strict=True))


@pytest.mark.usefixtures("_small")
def test_hyperparameters_are_fitted_anew_after_so_many_points_only() -> None:
    x, y = points(LAYOUT, 80), normal(80)
    hypers = [fit(LAYOUT, x[:count], y[:count], "full")[0].hyper for count in (50, 59, 60)]
    assert torch.equal(hypers[0].relevance_A, hypers[1].relevance_A)
    assert not torch.equal(hypers[0].relevance_A, hypers[2].relevance_A)


@pytest.mark.usefixtures("_small")
def test_what_is_remembered_of_fits_changes_nothing() -> None:
    x, y = points(LAYOUT, 75), normal(75)
    fit(LAYOUT, x[:70], y[:70], "full")
    warm = fit(LAYOUT, x, y, "full")
    assert len(surrogate._fits) == 2
    surrogate._fits.clear()
    cold = fit(LAYOUT, x, y, "full")
    for one, other in zip(warm, cold, strict=True):
        assert torch.equal(one.mean(x), other.mean(x))
        assert one.weight == other.weight


@pytest.mark.usefixtures("_small")
def test_the_order_of_arrival_counts_and_not_that_of_the_rows() -> None:
    """A trial that began early and ended last is among the newest: the fit of before stays."""
    x, y = points(LAYOUT, 56), normal(56)
    before = fit(LAYOUT, x[1:56], y[1:56], "full")[0].hyper
    arrival = torch.arange(56)
    arrival[0] = 99
    after = fit(LAYOUT, x, y, "full", subset(y[:, None], arrival))[0].hyper
    assert torch.equal(before.relevance_A, after.relevance_A)


@pytest.mark.usefixtures("_small")
def test_uncertainty_is_in_the_unit_of_the_target() -> None:
    """The best and the newest differ little; what is fitted to them must not think the target so noisy."""
    f = points(LAYOUT, 200)
    f[120:, 0] = 1
    signal = 2 * f[:, 0] + f[:, 1] * f[:, 2]
    y = signal + 0.2 * normal(200)
    deviation = float(y.std())

    model = fit(LAYOUT, f, (y - y.mean()) / deviation, "pairs")[0]

    assert 0.1 < deviation * model.noise**0.5 < 0.3


@pytest.mark.usefixtures("_small")
def test_the_weight_of_a_source_is_in_the_unit_of_the_target() -> None:
    """Among the best and the newest, which differ little, the source differs little too."""

    class Truth:
        def mean(self, features_MD: Tensor) -> Tensor:
            return 2 * features_MD[:, 0] + features_MD[:, 1] * features_MD[:, 2]

    f = points(LAYOUT, 200)
    f[120:, 0] = 1
    y = Truth().mean(f) + 0.2 * normal(200)
    deviation = float(y.std())

    source = PriorMean("other/search", Truth(), torch.ones(f.shape[1], dtype=torch.float64))
    model = fit(LAYOUT, f, (y - y.mean()) / deviation, "pairs", sources=[source])[0]

    assert model.trust_S.tolist() == pytest.approx([1 / deviation], rel=0.25)
