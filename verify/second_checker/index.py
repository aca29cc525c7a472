"""The index of a catalog (section 13 of `proofs/FORMAT.md`): integrity, not claims."""

import re

from canonical import CERTIFICATE_CONTEXT, ENTRY_CONTEXT, bytes_of, digest
from certificate import MAX_CERTIFICATE_BYTES
from entry import MAX_ENTRY_BYTES
from expression import NAMED

CATALOG_CONTEXT = "chebyshare 2026 catalog 1"
NAME = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,99}/[a-z0-9_-][a-z0-9._-]{0,99}\Z", re.ASCII)


def root_of(catalog, proofs):
    """The catalog's root after its index was compared with its files; None without an index; a ValueError if they differ."""
    path = catalog / "INDEX"
    if not path.is_file():
        return None
    names = [_name(one, catalog) for one in catalog.glob("*/*.entry")]
    if sorted(names) != sorted(_name(one, proofs) for one in proofs.glob("*/*.certificate")):
        raise ValueError("the entries of %s and the certificates of %s are not the same" % (catalog, proofs))
    lines = []
    for name in sorted(names, key=str.encode):
        if not NAME.match(name):
            raise ValueError("%s is no name of an entry" % name)
        entry = bytes_of(catalog / (name + ".entry"), MAX_ENTRY_BYTES)
        certificate = bytes_of(proofs / (name + ".certificate"), MAX_CERTIFICATE_BYTES)
        lines.append("%s %s %s\n" % (digest(ENTRY_CONTEXT, entry), digest(CERTIFICATE_CONTEXT, certificate), name))
    found = "".join(lines).encode()
    if found != path.read_bytes():
        raise ValueError("%s does not say what the files are" % path)
    return digest(CATALOG_CONTEXT, found)


def may_lie_in(function, folder):
    """Whether an entry of this function may lie in this folder: an expression in any that is not called like a function."""
    return folder not in NAMED if function == "expression" else folder == function


def _name(path, folder):
    return path.relative_to(folder).with_suffix("").as_posix()
