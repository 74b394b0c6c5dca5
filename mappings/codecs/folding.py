"""Text reduced to what two spellings of one name share: no case, no accents, no punctuation.

The store has no extension that does this, so it is done here, where values are decoded and compared.
"""

from __future__ import annotations

import re
import unicodedata

_LIGATURES = str.maketrans({
    "œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i", "ħ": "h", "ŋ": "n", "ŧ": "t",
    "ĸ": "k", "ŀ": "l", "ſ": "s",
})
_APART = re.compile(r"[\W_]+")


def folded(text: str) -> str:
    """Lower case, no accents, single spaces between words: `Côte-d’Ivoire` is `cote d ivoire`, `Œuvre` is `oeuvre`."""
    bare = unicodedata.normalize("NFKD", text.casefold()).translate(_LIGATURES)
    letters = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return _APART.sub(" ", letters).strip()
