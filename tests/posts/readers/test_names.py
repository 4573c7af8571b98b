"""The table of names, and how columns are recognised by it."""

from __future__ import annotations

from typing import Any

import pytest

from evoked.posts.readers.addresses import id_in_address
from evoked.posts.readers.columns import recognise_columns
from evoked.posts.readers.names import fields, normalise, platform_of, recognise
from evoked.posts.schema import ENGAGEMENT, EXPOSURE

# Headers as the platforms and tools write them, with what each column holds.
_TABLES: dict[str, dict[str, str]] = {
    "TikTok Studio": {
        "Video title": "title",
        "Video link": "post_id",
        "Post time": "posted_at",
        "Total likes": "likes",
        "Total comments": "comments",
        "Total shares": "shares",
        "Total views": "views",
        "Average watch time": "",
    },
    "TikTok": {
        "id": "post_id",
        "text": "caption",
        "createTimeISO": "posted_at",
        "authorMeta.name": "author_id",
        "authorMeta.fans": "followers",
        "diggCount": "likes",
        "shareCount": "shares",
        "playCount": "views",
        "collectCount": "saves",
        "commentCount": "comments",
        "videoMeta.coverUrl": "",
        "musicMeta.musicName": "",
        "hashtags/0/name": "",
    },
    "X": {
        "Post id": "post_id",
        "Date": "posted_at",
        "Post text": "caption",
        "Post Link": "",
        "Impressions": "impressions",
        "Likes": "likes",
        "Engagements": "",
        "Bookmarks": "saves",
        "Shares": "",
        "New follows": "",
        "Replies": "comments",
        "Reposts": "shares",
        "Profile visits": "",
        "Detail Expands": "",
        "URL Clicks": "",
    },
    "YouTube Studio": {
        "Content": "post_id",
        "Video title": "title",
        "Video publish time": "posted_at",
        "Duration": "",
        "Views": "views",
        "Watch time (hours)": "",
        "Subscribers": "",
        "Impressions": "impressions",
        "Impressions click-through rate (%)": "",
        "Likes": "likes",
        "Comments added": "comments",
    },
    "LinkedIn": {
        "Post title": "caption",
        "Post link": "post_id",
        "Post type": "",
        "Posted by": "",
        "Created date": "posted_at",
        "Content Type": "media_type",
        "Impressions": "impressions",
        "Views": "views",
        "Clicks": "",
        "Click through rate (CTR)": "",
        "Likes": "likes",
        "Comments": "comments",
        "Reposts": "shares",
        "Follows": "",
        "Engagement rate": "",
    },
    "Pinterest": {
        "Pin ID": "post_id",
        "Pin title": "title",
        "Pin description": "caption",
        "Created at": "posted_at",
        "Impressions": "impressions",
        "Saves": "saves",
        "Pin clicks": "",
        "Outbound clicks": "",
        "Comments": "comments",
    },
    "Reddit": {
        "id": "post_id",
        "title": "title",
        "selftext": "caption",
        "author": "author_id",
        "created_utc": "posted_at",
        "score": "likes",
        "num_comments": "comments",
        "subreddit": "category",
        "upvote_ratio": "",
    },
    "Bluesky": {
        "uri": "post_id",
        "author.handle": "author_id",
        "author.did": "",
        "record.text": "caption",
        "record.createdAt": "posted_at",
        "likeCount": "likes",
        "repostCount": "shares",
        "replyCount": "comments",
        "quoteCount": "",
    },
    "CrowdTangle": {
        "Page Name": "author_id",
        "Likes at Posting": "",
        "Followers at Posting": "followers",
        "Page Created": "",
        "Post Created": "posted_at",
        "Type": "media_type",
        "Total Interactions": "",
        "Likes": "likes",
        "Comments": "comments",
        "Shares": "shares",
        "Message": "caption",
        "URL": "post_id",
        "Link": "",
        "Love": "",
    },
    "Sprout Social": {
        "Date": "posted_at",
        "Post ID": "post_id",
        "Network": "",
        "Post Type": "",
        "Content Type": "media_type",
        "Profile": "author_id",
        "Sent by": "",
        "Post": "caption",
        "Impressions": "impressions",
        "Engagement Rate (per Impression)": "",
        "Reactions": "likes",
        "Comments": "comments",
        "Video Views": "views",
    },
    "Phantombuster": {
        "postUrl": "post_id",
        "profileUrl": "author_id",
        "description": "caption",
        "pubDate": "posted_at",
        "likeCount": "likes",
        "commentCount": "comments",
        "viewCount": "views",
        "imgUrl": "",
    },
    "Facebook": {
        "id": "post_id",
        "message": "caption",
        "created_time": "posted_at",
        "likes.summary.total_count": "likes",
        "comments.summary.total_count": "comments",
        "shares.count": "shares",
        "from.name": "author_id",
        "full_picture": "",
    },
}
_CELLS: dict[str, list[Any]] = {
    "post_id": ["AbC_123", "AbC_124"],
    "posted_at": ["2024-05-01 10:00", "2024-05-02 10:00"],
    "caption": ["Tea is ready #tea", "Two teas"],
    "title": ["Tea is ready", "Two teas"],
    "media_type": ["Image", "Video"],
    **{name: [12, 0] for name in (*ENGAGEMENT, *EXPOSURE)},
}
# Facebook's and Instagram's tables in the language of the account.
_META: dict[str, dict[str, str]] = {
    "de": {
        "Beitrags-ID": "post_id",
        "Seitenname": "author_id",
        "Titel": "title",
        "Beschreibung": "caption",
        "Dauer (Sek.)": "",
        "Veröffentlichungszeit": "posted_at",
        "Beitragsart": "media_type",
        "Aufrufe": "views",
        "Reichweite": "reach",
        "Reaktionen, Kommentare und geteilte Inhalte": "",
        "„Gefällt mir“-Angaben": "likes",
        "Kommentare": "comments",
        "Geteilte Inhalte": "shares",
        "Gespeicherte Inhalte": "saves",
    },
    "fr": {
        "Identifiant de publication": "post_id",
        "Nom de la Page": "author_id",
        "Titre": "title",
        "Heure de publication": "posted_at",
        "Type de publication": "media_type",
        "Vues": "views",
        "Couverture": "reach",
        "Réactions, commentaires et partages": "",
        "Réactions": "likes",
        "Commentaires": "comments",
        "Partages": "shares",
        "Enregistrements": "saves",
    },
    "es": {
        "Identificador de la publicación": "post_id",
        "Nombre de usuario de la cuenta": "author_id",
        "Descripción": "caption",
        "Hora de publicación": "posted_at",
        "Tipo de publicación": "media_type",
        "Visualizaciones": "views",
        "Alcance": "reach",
        "Me gusta": "likes",
        "Veces que se ha compartido": "shares",
        "Comentarios": "comments",
        "Veces guardado": "saves",
    },
    "pt": {
        "Identificação do post": "post_id",
        "Nome da conta": "author_id",
        "Descrição": "caption",
        "Horário de publicação": "posted_at",
        "Tipo de post": "media_type",
        "Visualizações": "views",
        "Alcance": "reach",
        "Curtidas": "likes",
        "Compartilhamentos": "shares",
        "Comentários": "comments",
        "Salvamentos": "saves",
    },
    "it": {
        "ID del post": "post_id",
        "Nome utente dell'account": "author_id",
        "Descrizione": "caption",
        "Orario di pubblicazione": "posted_at",
        "Tipo di post": "media_type",
        "Visualizzazioni": "views",
        "Copertura": "reach",
        "Mi piace": "likes",
        "Condivisioni": "shares",
        "Commenti": "comments",
        "Salvataggi": "saves",
    },
    "ja": {
        "投稿ID": "post_id",
        "アカウントユーザーネーム": "author_id",
        "説明": "caption",
        "公開日時": "posted_at",
        "投稿タイプ": "media_type",
        "閲覧数": "views",
        "リーチ": "reach",
        "いいね！": "likes",
        "シェア": "shares",
        "コメント": "comments",
        "保存": "saves",
    },
}


def _columns(table: dict[str, str]) -> dict[str, list[Any]]:
    return {name: _CELLS.get(field, ["someone", "someone"]) for name, field in table.items()}


def _expected(table: dict[str, str]) -> dict[str, str]:
    return {field: name for name, field in table.items() if field}


@pytest.mark.parametrize("platform", _TABLES)
def test_tables_of_platforms_and_tools(platform: str) -> None:
    table = _TABLES[platform]
    cells = _columns(table) | {"Post type": ["Organic", "Organic"], "Post Type": ["Post", "Post"]}
    recognised = recognise(list(table), cells)
    assert recognised.platform == platform
    assert recognised.mapping == _expected(table)


@pytest.mark.parametrize("language", _META)
def test_tables_of_accounts_in_other_languages(language: str) -> None:
    table = _META[language]
    cells = _columns(table)
    assert recognise(list(table), cells).mapping == _expected(table)
    # In any order: the best column is taken, not the first.
    assert recognise(list(reversed(table)), cells).mapping == _expected(table)


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("statistics.viewCount", "views"),
        ("public_metrics.like_count", "likes"),
        ("edge_media_preview_like.count", "likes"),
        ("node.edge_media_to_comment.count", "comments"),
        ("node.edge_media_to_caption.edges.0.node.text", "caption"),
        ("data.stats.diggCount", "likes"),
        ("user.followers_count", "followers"),
        ("author_stats_follower_count", "followers"),
        ("owner.username", "author_id"),
        ("user.id", "author_id"),
        ("snippet.publishedAt", "posted_at"),
        ("engagement_summary.like_count", "likes"),
        ("Total video likes", "likes"),
        ("Number of comments", "comments"),
        ("LIKES", "likes"),
        ("likes_count", "likes"),
        ("Réactions", "likes"),
        ("Likes (organic)", "likes"),
    ],
)
def test_a_name_is_recognised_in_every_spelling(column: str, field: str) -> None:
    assert recognise([column]).mapping == {field: column}


@pytest.mark.parametrize(
    "column",
    [
        "quoted_tweet.public_metrics.like_count",
        "user.created_at",
        "author.description",
        "music.title",
        "musicMeta.playCount",
        "comments.0.text",
        "comments.0.likes",
        "Link clicks",
        "Average likes",
        "Engagement rate",
        "Likes/Views",
        "Video length",
        "Data comment",
    ],
)
def test_what_is_about_something_else_is_not_taken(column: str) -> None:
    assert recognise([column]).mapping == {}


def test_cells_decide_between_fields() -> None:
    ids, texts = ["abcDEF12345", "abcDEF12346"], ["Tea is ready", "Two teas"]
    assert recognise(["Content"], {"Content": ids}).mapping == {"post_id": "Content"}
    assert recognise(["Content"], {"Content": texts}).mapping == {"caption": "Content"}
    likes = {"Likes": ["", ""], "Reactions": ["3", "4"]}
    assert recognise(list(likes), likes).mapping == {"likes": "Reactions"}
    lifetime = {"Date": ["Lifetime"] * 2, "Posted": ["2024-01-01"] * 2}
    assert recognise(list(lifetime), lifetime).mapping == {"posted_at": "Posted"}


def test_tags_come_before_their_numbers() -> None:
    cells = {"hashtags": ["3", "0"], "tags": ["#2024 #tea", "3"]}
    assert recognise(list(cells), cells).mapping == {"hashtags": "tags"}


def test_a_column_serves_one_field_and_a_rival_is_named() -> None:
    recognised = recognise(["likes", "reactions"])
    assert recognised.mapping == {"likes": "likes"}
    assert recognised.rivals == {"likes": "reactions"}
    assert recognise(["likes", "Link clicks"]).rivals == {}


def test_links_are_ids_only_where_they_lead_to_posts() -> None:
    posts = ["https://www.facebook.com/1/posts/2", "https://www.facebook.com/1/posts/3"]
    shops = ["https://example.org/tea", "https://example.org/tea"]
    assert recognise(["Link"], {"Link": posts}).mapping == {"post_id": "Link"}
    assert recognise(["Link"], {"Link": shops}).mapping == {}


def test_what_a_person_decided_is_left_to_them() -> None:
    cells = {"Reactions": ["1"], "Likes": ["2"]}
    decided = recognise_columns(list(cells), {"comments": "Likes", "shares": ""}, cells)
    assert decided.mapping == {"likes": "Reactions", "comments": "Likes"}


def test_names_are_compared_without_case_accents_and_signs() -> None:
    assert normalise("ÉCHANGES J’aime") == normalise("echanges_j'aime")
    assert normalise("likeCount") == normalise("LIKE COUNT")
    assert normalise("いいね！") == normalise("「いいね!」")
    assert normalise("ｌｉｋｅｓ") == "likes"


def test_no_platform_without_two_of_its_columns() -> None:
    assert platform_of(["Post time", "likes"]) == ""
    assert platform_of([]) == ""


def test_the_table_knows_every_field_once() -> None:
    assert len(set(fields())) == len(fields())
    assert {"post_id", "likes", "valence", "posted_time"} <= set(fields())


@pytest.mark.parametrize(
    ("address", "identifier"),
    [
        ("https://x.com/someone/status/1100000000000000001?s=20", "1100000000000000001"),
        ("https://www.instagram.com/someone/p/AbC_1/", "AbC_1"),
        ("https://www.youtube.com/watch?v=abcDEF12345&t=2", "abcDEF12345"),
        ("https://youtu.be/abcDEF12345", "abcDEF12345"),
        ("https://www.facebook.com/page/posts/pfbid0abc", "pfbid0abc"),
        ("https://www.facebook.com/permalink.php?story_fbid=12&id=3", "12"),
        ("https://www.linkedin.com/feed/update/urn:li:activity:70000000001", "70000000001"),
        ("https://www.reddit.com/r/tea/comments/1abc/title/", "1abc"),
        ("https://www.pinterest.co.uk/pin/123/", "123"),
        ("https://example.org/status/12", None),
        ("AbC_1", None),
    ],
)  # fmt: skip
def test_ids_in_addresses(address: str, identifier: str | None) -> None:
    assert id_in_address(address) == identifier
