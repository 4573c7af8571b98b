"""Names of columns that hold what a post achieved, which nobody knows before it appears."""

from __future__ import annotations

import re

# Any of these words makes a column an outcome, by the language of networks' exports.
_WORDS = {
    "English": "clicks clicked ctr cpc cpm cpa cpv cvr vtr roas engage engaged engagement "
    "engagements interactions reactions impression impressions reach reached views viewed plays "
    "played thruplays thruplay likes dislikes comments shares retweets reposts saves bookmarks "
    "replies follows unfollows conversion conversions purchases installs watched visits taps exits "
    "retention ranking virality upvotes downvotes favorites favourites",
    "German": "klicks klickrate reichweite impressionen aufrufe profilaufrufe kommentare "
    "interaktionen wiedergaben abrufe",
    "French": "clics portée vues commentaires partages réactions enregistrements couverture",
    "Spanish": "alcance impresiones interacciones visualizaciones reproducciones comentarios "
    "compartidos",
    "Portuguese": "impressões interações visualizações comentários cliques curtidas "
    "compartilhamentos",
    "Italian": "visualizzazioni commenti condivisioni copertura interazioni",
    "Russian": "лайки лайков комментарии просмотры охват репосты показы клики",
}
# So do these names as a whole, once the words of _FILLING are left out.
_NAMES = (
    "like comment share save view play click retweet repost reply visit follow frequency result "
    "results consumers consumer consumption consumptions sales revenue leads orders signups "
    "subscribersgained followersgained newfollowers newsubscribers fromhome fromhashtags "
    "fromexplore fromother fromprofile fromfeed fromlocation watchtime timewatched viewduration "
    "percentageviewed popularity score virality gefälltmir geteilt gespeichert jaime megusta "
    "mipiace clickthrough approvedconversion"
)
_FILLING = (
    "total t number of num n no nr count counts lifetime unique organic average avg mean sum rate "
    "ratio percent pct per post video page user hours minutes seconds usd eur gbp the all"
)
# What is planned or past is known beforehand, whatever it is about.
_BEFOREHAND = (
    "target targeted goal planned plan budget bid objective previous prior before earlier "
    "forecast expected guaranteed allowed enabled"
)
# Parts of names in which no spaces separate the words.
_PARTS = re.compile(
    r"いいね|リーチ|インプレッション|コメント|シェア|再生|閲覧|クリック|保存数|表示回数|"
    r"点赞|點讚|评论|評論|转发|轉發|收藏|播放|阅读|閱讀|曝光|点击|點擊|互动|互動|浏览|瀏覽|"
    r"좋아요|댓글|공유|조회|노출|도달|클릭|저장|^costper|watchtime|^gefälltmir"
)
_OUTCOME_WORDS = frozenset(" ".join(_WORDS.values()).split())
_OUTCOME_NAMES = _OUTCOME_WORDS.union(_NAMES.split())
_FILLING_WORDS = frozenset(_FILLING.split())
_BEFOREHAND_WORDS = frozenset(_BEFOREHAND.split())


def is_outcome(name: str) -> bool:
    """Whether a column's name is that of something known only after posting.

    Examples
    --------
    >>> [is_outcome(name) for name in ("Link clicks", "engagementRate", "T_Reach", "いいね数")]
    [True, True, True, True]
    >>> [is_outcome(name) for name in ("spend", "placement", "reach_goal", "share of women")]
    [False, False, False, False]
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"[^\W\d_]+", spaced.casefold())
    if not _BEFOREHAND_WORDS.isdisjoint(words):
        return False
    named = "".join(word for word in words if word not in _FILLING_WORDS)
    return (
        not _OUTCOME_WORDS.isdisjoint(words)
        or named in _OUTCOME_NAMES
        or _PARTS.search("".join(words)) is not None
    )
