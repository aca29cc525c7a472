"""Text to token numbers as BERT's uncased models want it: lower case, no accents, punctuation apart, longest pieces first.

What the client does before anything private happens; it needs the vocabulary and nothing else.
"""

import unicodedata

LETTERS_MAX = 100
IDEOGRAPHS = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
              (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)]


def is_apart(letter):
    """Punctuation and ideographs are words of their own."""
    code = ord(letter)
    if any(first <= code <= last for first, last in IDEOGRAPHS):
        return True
    ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_sign or unicodedata.category(letter).startswith("P")


def cleaned(text):
    """Without control characters, every kind of white space a blank."""
    for letter in text:
        if letter in "\t\n\r" or unicodedata.category(letter) == "Zs":
            yield " "
        elif ord(letter) not in (0, 0xFFFD) and unicodedata.category(letter) not in ("Cc", "Cf", "Co"):
            yield letter


def words(text):
    """The words of a text: lower case, accents removed."""
    decomposed = unicodedata.normalize("NFD", "".join(cleaned(text)))
    # Letter by letter: as a whole word, a final Σ would become another letter.
    plain = "".join(letter.lower() for letter in decomposed if unicodedata.category(letter) != "Mn")
    return "".join(f" {letter} " if is_apart(letter) else letter for letter in plain).split()


class Wordpiece:
    """A vocabulary: one piece a line, continuations begin with ##."""

    def __init__(self, path):
        pieces = path.read_text(encoding="utf-8").splitlines()
        self.numbers = {piece: number for number, piece in enumerate(pieces)}

    def pieces(self, word):
        """The longest piece that begins the rest of the word, again and again; [UNK] where none does."""
        if len(word) > LETTERS_MAX:
            return ["[UNK]"]
        found, first = [], 0
        while first < len(word):
            prefix = "##" if first else ""
            ends = (end for end in range(len(word), first, -1) if prefix + word[first:end] in self.numbers)
            end = next(ends, None)
            if end is None:
                return ["[UNK]"]
            found.append(prefix + word[first:end])
            first = end
        return found

    def encode(self, text):
        """Token numbers, with those that open and close a text."""
        pieces = ["[CLS]", *(piece for word in words(text) for piece in self.pieces(word)), "[SEP]"]
        return [self.numbers[piece] for piece in pieces]
