"""What a network is told: the course of a sequence depends on its class and on how much of it is over."""

from __future__ import annotations

import pytest
import torch

from lab.nn.conditions import Course


def test_course_goes_from_point_to_point() -> None:
    course = Course(classes=2, points=3, width=1)
    with torch.no_grad():
        course.points[0, :, 0], course.points[1, :, 0] = torch.tensor([0.0, 10.0, 30.0]), torch.tensor([5.0, 5.0, 7.0])
    told = course(torch.tensor([0, 1]), torch.tensor([5, 3]), 5)
    assert told.shape == (2, 1, 5)
    assert told[0, 0].tolist() == pytest.approx([0, 5, 10, 20, 30])
    assert told[1, 0].tolist() == pytest.approx([5, 5, 7, 7, 7]), (
        "beyond its end, a sequence has what its last step has"
    )


def test_course_takes_any_length() -> None:
    course = Course(classes=1, points=4, width=2)
    lengths = torch.tensor([7, 13])
    told = course(torch.zeros(2, dtype=torch.long), lengths, 13)
    assert torch.allclose(told[0, :, :7], told[1, :, ::2]), "half the speed is another course"
    assert torch.isfinite(course(torch.zeros(1, dtype=torch.long), torch.tensor([1]), 1)).all()
    one_point = Course(classes=1, points=1, width=1)
    assert (
        one_point(torch.zeros(1, dtype=torch.long), torch.tensor([3]), 3).unique().tolist()
        == one_point.points.flatten().tolist()
    )
