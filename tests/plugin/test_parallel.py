# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards side by side: a board's tests stay together, in one worker."""

from pathlib import Path

import pytest

from fixtures.parallel import board_of

pytest_plugins = ["pytester"]
BOARDS = ["pi4", "pi4-a", "pi5"]


@pytest.mark.parametrize(
    ("nodeid", "board"),
    [
        ("t.py::test_it[pi5]", "pi5"),
        ("t.py::test_stage[pi4-a-dhcp]", "pi4-a"),
        ("t.py::test_stage[dhcp-pi4]", "pi4"),
        ("t.py::test_stage[pi40-x]", None),
        ("t.py::test_it", None),
        ("t.py::test_pi5", None),
    ],
)
def test_a_test_s_board_is_read_from_its_parameters(nodeid: str, board: str | None) -> None:
    assert board_of(nodeid, BOARDS) == board


@pytest.mark.gear
def test_with_loadgroup_each_board_has_one_worker(pytester: pytest.Pytester) -> None:
    from tests.plugin.test_plugin import LAB  # noqa: PLC0415

    pytester.makefile(".yaml", lab=LAB)
    pytester.syspathinsert(Path(__file__).parents[2])
    pytester.makeini("[pytest]\naddopts = -p no:hypothesispytest")
    pytester.makeconftest(
        """
        import pytest
        @pytest.fixture(scope="session")
        def board(request):
            return request.param
        """
    )
    pytester.makepyfile(
        """
        import os
        import pytest
        @pytest.mark.parametrize("n", range(6))
        def test_it(board, n):
            with open(f"{board}.workers", "a") as file:
                file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
        """
    )
    pytester.runpytest_subprocess("-n", "2", "--dist", "loadgroup").assert_outcomes(passed=12)
    for board in ("one", "two"):
        assert len(set((pytester.path / f"{board}.workers").read_text().split())) == 1
