"""Image-Emotion-Social-Net (Zhao et al. 2016): what users felt when they saw images on Flickr.

The authors give the dataset away on request, and no paper names its files and columns. What is
published (Bhattacharyya et al. 2024, Section IV-A) is that there are records of actual emotions
(user, image, time, one or more labels, id of the comment), groups with their descriptions and lists
of members, and users with lists of contacts; the texts of comments have to be fetched from Flickr
by their ids. So we only assume a folder with these tables, in any form that
:mod:`evoked.posts.readers.network_tables` finds, for example::

    iesn/
        actual_emotions.txt   user, image, timestamp, emotion, comment id
        images.csv            image; owner, date, title, description, tags, where known
        users.txt             user
        contacts.json         {user: [user, …]}, or rows of user and contact
        groups.csv            group, description
        group_members.csv     group, user
        comments.json         {comment id: text}, for the comments that could be fetched
        images/               pictures, named by the image's id or <id>_<secret>.jpg

Only the actual emotions are required. As in Section IV-A, viewings whose image or user is gone or
that are labelled *Unknown* are dropped, and counted. The paper uses "only a single ground truth
label" where there are several, and does not say which; here all are kept, see
:func:`evoked.targets.emotion.emotion_shares`. A comment that could not be fetched is null, as 66 %
of the paper's are.
"""

from __future__ import annotations

from pathlib import Path

from evoked.posts.readers.base import ReadOptions, Source, require_folder
from evoked.posts.readers.network import NetworkSource


def read(source: Path, options: ReadOptions) -> Source:
    """Images as posts, and the emotions that users felt as viewings.

    An image is gone if the table of images lacks it or if it has no picture although others do; a
    user is gone if the table of users lacks them. If there is no such table, every image or user in
    the records counts as existing.

    Raises
    ------
    DataError
        There is no such folder, no table of actual emotions or several, or no usable viewing.
    SettingsError
        A mapping of a table, field or column that doesn't exist.
    """
    require_folder(source)
    return NetworkSource(source, options, labelled=True, split_ids=True).reading()
