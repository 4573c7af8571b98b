"""The one look of all pictures."""

from __future__ import annotations

from threading import Event, Thread

import matplotlib

from evoked.explain.figures import look


def test_threads_draw_one_after_the_other() -> None:
    """Matplotlib's settings are the whole process's: they must not end while another draws."""
    before = matplotlib.rcParams["legend.frameon"]
    began, entered, seen = Event(), Event(), []

    def draw() -> None:
        began.set()
        with look():
            entered.set()
        seen.append(matplotlib.rcParams["legend.frameon"])

    with look():
        thread = Thread(target=draw)
        thread.start()
        began.wait(10)
        with look():  # as where a figure is saved that is still being made
            assert not entered.wait(0.2)
        assert matplotlib.rcParams["legend.frameon"] is False
    thread.join(10)
    assert entered.is_set()
    assert seen == [before]
