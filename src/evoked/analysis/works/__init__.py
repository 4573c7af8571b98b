"""What works for an account: what posts have that do better than the account's others of the time.

Each thing that a post can have is a :class:`evoked.analysis.works.traits.Trait`; a small file per
kind of things finds them in posts. :mod:`evoked.analysis.works.effects` compares the posts that
have one with those that don't, and :mod:`evoked.analysis.works.findings` says it in words.
"""
