"""Raw BSON, read in place: no values are built to look at a field.

A walk trusts no length: it ends at the document's end or raises `Malformed`.
"""

from struct import Struct, error as StructError


class Malformed(ValueError):
    """Bytes that are not a BSON document."""


DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, OBJECT_ID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x07
BOOLEAN, DATE, NULL, INT32, INT64 = 0x08, 0x09, 0x0A, 0x10, 0x12
_REGEX = 0x0B

# The size of a value (bsonspec.org): fixed, or the bytes that its own length
# does not count.
_FIXED = {
    0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0,
    0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0,
}
_COUNTED = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0C: 16, 0x0D: 4, 0x0E: 4, 0x0F: 0}

_uint32 = Struct("<I").unpack_from
_SCALARS = {
    DOUBLE: Struct("<d").unpack_from,
    INT32: Struct("<i").unpack_from,
    INT64: Struct("<q").unpack_from,
}


def key(name):
    """A field's name in the form for `find`."""
    return name.encode() + b"\0"


def find(document, key):
    """The type of the field and the start of its value, or None."""
    for kind, name, value in elements(document):
        if document.startswith(key, name):
            return kind, value
    return None


def elements(document):
    """The type of each field, and the start of its name and its value."""
    at, last = 4, len(document) - 1
    try:
        while at < last:
            kind, name = document[at], at + 1
            value = document.index(0, name) + 1
            yield kind, name, value
            at = value + _length(document, kind, value)
    except (IndexError, KeyError, ValueError, StructError) as error:
        raise Malformed("malformed BSON") from error
    if at != last:
        raise Malformed("malformed BSON")


def _length(document, kind, at):
    """The size of a value in bytes."""
    length = _FIXED.get(kind)
    if length is not None:
        return length
    if kind == _REGEX:
        return document.index(0, document.index(0, at) + 1) + 1 - at
    return _uint32(document, at)[0] + _COUNTED[kind]


def scalar(document, kind, at):
    """The value of a string, a number, a boolean or null; of any other type its
    whole bytes.
    """
    if kind == STRING:
        return document[at + 4 : at + 3 + _uint32(document, at)[0]].decode()
    if kind in _SCALARS:
        return _SCALARS[kind](document, at)[0]
    if kind == NULL:
        return None
    return document[at : at + _length(document, kind, at)]
