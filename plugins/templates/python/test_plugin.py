"""Runs natively, without any WebAssembly: python3 -m unittest"""

import struct
import unittest

import plugin
from raw_bson import Malformed
from sdk import DROP, KEEP, ConfigError


def document(*elements):
    """A BSON document of these fields: (type, name, value as bytes)."""
    body = b"".join(bytes([kind]) + name + b"\0" + value for kind, name, value in elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def string(text):
    encoded = text.encode() + b"\0"
    return 0x02, struct.pack("<i", len(encoded)) + encoded


def status(kind, value):
    """A document with a `status`, after fields with every kind of length."""
    inner = document((0x10, b"status", struct.pack("<i", 1)))
    return document(
        (0x07, b"_id", bytes(12)),
        (0x0B, b"regex", b"^a\0i\0"),
        (0x05, b"binary", struct.pack("<i", 3) + b"\0abc"),
        (0x03, b"nested", inner),
        (kind, b"status", value),
    )


class FilterTest(unittest.TestCase):
    def setUp(self):
        self.plugin = plugin.Plugin({"field": "status", "values": ["active", "é", 7]})

    def decide(self, document):
        return self.plugin.transform(None, document)

    def test_keeps_what_has_one_of_the_values(self):
        for kind, value in [
            string("active"),
            string("é"),
            (0x10, struct.pack("<i", 7)),
            (0x12, struct.pack("<q", 7)),
            (0x01, struct.pack("<d", 7.0)),
        ]:
            self.assertIs(self.decide(status(kind, value)), KEEP)

    def test_drops_the_others(self):
        for kind, value in [
            string("gone"),
            string("7"),
            (0x10, struct.pack("<i", 1)),
            (0x0A, b""),
            (0x08, b"\1"),
        ]:
            self.assertIs(self.decide(status(kind, value)), DROP)
        self.assertIs(self.decide(document((0x10, b"_id", bytes(4)))), DROP)

    def test_what_is_no_bson_is_said_to_be_none(self):
        with self.assertRaises(Malformed):
            self.decide(document((0x7E, b"x", b"")))

    def test_a_wrong_configuration_is_refused_by_path(self):
        for config, fault, path in [
            ([], "invalid-value", ""),
            ({"field": "a"}, "missing-field", ""),
            ({"field": "a", "values": [1], "more": 1}, "unknown-field", "more"),
            ({"field": 1, "values": [1]}, "invalid-value", "field"),
            ({"field": "a", "values": []}, "invalid-value", "values"),
            ({"field": "a", "values": ["a", True]}, "invalid-value", "values[1]"),
        ]:
            with self.subTest(config), self.assertRaises(ConfigError) as refused:
                plugin.Plugin(config)
            self.assertEqual((refused.exception.fault, refused.exception.path), (fault, path))


if __name__ == "__main__":
    unittest.main()
