"""Addresses of posts on networks, and the ids in them."""

from __future__ import annotations

import re

# The id of a post within its address; what comes after it says where it was shared.
_POSTS = re.compile(
    r"(?:https?://)?(?:[\w-]+\.)*?(?:"
    r"instagram\.com/(?:[\w.]+/)?(?:p|reels?|tv)/(?P<instagram>[\w-]+)|"
    r"tiktok\.com/(?:@[^/\s]*/)?(?:video|photo|v|embed)/(?P<tiktok>\d+)|"
    r"(?:twitter|x)\.com/[^/\s]+/(?:web/)?status(?:es)?/(?P<x>\d+)|"
    r"(?:youtube\.com/(?:watch\?(?:\S*&)?v=|shorts/|live/|embed/)|youtu\.be/)(?P<youtube>[\w-]{6,})|"
    r"facebook\.com/(?:[^/\s]+/)?(?:posts|videos|reel|photos?)/(?:[^/\s]+/)*?(?P<facebook>\w+)/?"
    r"(?:\?\S*)?$|"
    r"facebook\.com/\S*?(?:story_fbid|fbid|v)=(?P<facebook_story>\w+)|"
    r"linkedin\.com/\S*?(?:activity|ugcPost|share)[:-](?P<linkedin>\d+)|"
    r"reddit\.com/r/[^/\s]+/comments/(?P<reddit>\w+)|redd\.it/(?P<reddit_short>\w+)|"
    r"pinterest\.[a-z.]+/pin/(?P<pinterest>\d+)|"
    r"threads\.(?:net|com)/@[^/\s]+/post/(?P<threads>[\w-]+)|"
    r"bsky\.app/profile/[^/\s]+/post/(?P<bluesky>\w+)"
    r")"
)


def id_in_address(address: str) -> str | None:
    """The id of the post that an address leads to; None if it isn't one of a known network's posts.

    Examples
    --------
    >>> id_in_address("https://www.tiktok.com/@someone/video/7400000000000000001?lang=en")
    '7400000000000000001'
    >>> id_in_address("https://www.instagram.com/reel/AbC_1/"), id_in_address("https://example.org/p/1")
    ('AbC_1', None)
    """
    match = _POSTS.match(address.strip())
    return None if match is None else next(found for found in match.groups() if found)
