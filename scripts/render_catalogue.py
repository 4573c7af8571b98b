"""Write ``src/evoked/models/catalogue.json``; see :mod:`evoked.models.catalogue`."""

from __future__ import annotations

from evoked.files import write_text
from evoked.models import MODELS
from evoked.models.catalogue import CATALOGUE_FILE, render

if __name__ == "__main__":
    write_text(CATALOGUE_FILE, render(MODELS.values()))
