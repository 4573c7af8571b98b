"""evoked: what a social-media post or ad evokes, and the engagement that follows.

Five lines lead from posts to a scored draft::

    import evoked

    posts = evoked.open("my_posts")
    run = evoked.train(posts, out="my_run")
    print(run.predict([evoked.Draft(image="draft.jpg", caption="Sunrise over the bay")]))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evoked.laboratory.automatic import train as train
    from evoked.posts.dataset import PostDataset as PostDataset
    from evoked.posts.drafts import Draft as Draft
    from evoked.posts.importing import import_posts as import_posts
    from evoked.posts.synthetic.posts import synthesise as synthesise
    from evoked.runs.posts import Run as Run

    open = PostDataset

__version__ = "0.1.0"

# Loaded when first used, so that 'import evoked' and 'evoked --help' take no second.
_LAZY = {
    "Draft": "evoked.posts.drafts",
    "PostDataset": "evoked.posts.dataset",
    "Run": "evoked.runs.posts",
    "import_posts": "evoked.posts.importing",
    "synthesise": "evoked.posts.synthetic.posts",
    "train": "evoked.laboratory.automatic",
}

__all__ = ["Draft", "PostDataset", "Run", "import_posts", "open", "synthesise", "train"]


def __getattr__(name: str) -> Any:
    if name == "open":
        return import_module("evoked.posts.dataset").PostDataset
    if name not in _LAZY:
        raise AttributeError(f"module 'evoked' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
