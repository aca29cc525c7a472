"""Cases of the rejection corpus: one file holds an entry, a certificate and the verdict that a checker must give."""

from rejection import REASONS

ENTRY_MARK = b"--- entry\n"
CERTIFICATE_MARK = b"--- certificate\n"


def read_case(data):
    """(expected verdict, bytes of the entry, bytes of the certificate); a ValueError if the file is no case."""
    head, mark, rest = data.partition(b"\n")
    words = head.decode("ascii", "replace").split(" ")
    if not mark or len(words) != 2 or words[0] != "expect" or words[1] not in REASONS + ("accepted",):
        raise ValueError("the first line is not `expect` and a verdict")
    if not rest.startswith(ENTRY_MARK) or rest.count(CERTIFICATE_MARK) != 1:
        raise ValueError("an entry and a certificate must follow, each after its mark")
    entry, _, certificate = rest[len(ENTRY_MARK):].partition(CERTIFICATE_MARK)
    return words[1], entry, certificate
