from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from trials.cramer.teacher import TextTeacher


def test_the_teacher_adds_the_centred_cosine_to_the_backbones_scores() -> None:
    torch.manual_seed(0)
    requests_IW, items_NW, asked_BW = torch.randn(20, 6) + 3, torch.randn(9, 6) - 1, torch.randn(4, 6) + 3
    bare_BN, scores_BN = torch.randn(4, 9), torch.randn(4, 9)
    teacher = TextTeacher(requests_IW, items_NW, 2.5)
    expected_BN = bare_BN + 2.5 * torch.stack(
        [F.cosine_similarity(one_W - requests_IW.mean(0), items_NW - items_NW.mean(0)) for one_W in asked_BW]
    )
    taught_BN = teacher.scores(bare_BN, asked_BW)
    torch.testing.assert_close(taught_BN, expected_BN)
    p_BN, q_BN = expected_BN.softmax(1), scores_BN.softmax(1)
    expected = float((p_BN * (p_BN / q_BN).log()).sum(1).mean())
    assert float(teacher.divergence(scores_BN, bare_BN, asked_BW)) == pytest.approx(expected, rel=1e-5)
    assert float(teacher.divergence(taught_BN + 7, bare_BN, asked_BW)) == pytest.approx(0, abs=1e-6)
