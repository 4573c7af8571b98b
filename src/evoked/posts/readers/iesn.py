"""Image-Emotion-Social-Net (Zhao et al. 2016): personal emotions at images of Flickr.

The dataset is given out by its makers on request, and no paper tells the names of its files and
columns. What they do tell (Bhattacharyya et al. 2024, Section IV-A) is that there are records of
actual emotions (user, image, time, one or more labels, id of the comment), groups with their
descriptions and lists of members, and users with lists of contacts; texts of comments have to be
fetched from Flickr by their ids. Assumed is therefore no more than a folder with tables of these,
as :mod:`evoked.posts.readers.network_tables` finds them, for example::

    iesn/
        actual_emotions.txt   user, image, timestamp, emotion, comment id
        images.csv            image; owner, date, title, description, tags, as far as known
        users.txt             user
        contacts.json         {user: [user, …]}, or rows of user and contact
        groups.csv            group, description
        group_members.csv     group, user
        comments.json         {comment id: text}, of those that could be fetched
        images/               pictures, named by the image's id or <id>_<secret>.jpg

Only the actual emotions are needed. Dropped, and counted, are (Section IV-A) viewings whose image
or user is gone, those labelled *Unknown* and those with several labels. A comment that could not
be fetched is null, as 66 % of the paper's are.
"""

from __future__ import annotations

from pathlib import Path

from evoked.posts.readers.base import ReadOptions, Source, require_folder
from evoked.posts.readers.network import NetworkSource


def read(source: Path, options: ReadOptions) -> Source:
    """Images as posts, and the emotions that users felt at them as viewings.

    An image is gone if the table of images lacks it or, where there are pictures, if it has none; a
    user is gone if the table of users lacks them. Without one of these tables, everybody or every
    image of the records is there.

    Raises
    ------
    DataError
        No such folder; no table of actual emotions, or several; no viewing left in the end.
    SettingsError
        A mapping of a table, field or column that doesn't exist.
    """
    require_folder(source)
    return NetworkSource(source, options, labelled=True, split_ids=True).reading()
