"""Synthetic posts and networks whose truth is known, for demonstrations and tests.

``posts`` and ``network`` make the datasets. Both draw numbers first: the moods and counts of posts
in ``population``, the users, images and feelings of a network in ``society``. Then they draw the
pictures (``images``) and write the captions (``captions``) and comments (``comments``).
"""
