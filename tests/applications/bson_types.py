"""An application that stores each BSON type, the deprecated ones too: in fields, in arrays, as `_id`s, and through every
kind of update."""

import datetime
import struct
import uuid

import bson
import program
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne

OWN = ObjectId("0123456789abcdef01234567")

DOUBLES = [0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308]
STRINGS = ["", "plain", "a\x00b", "grüße", "日本", "😀", "\u202e", "x" * 5_000]
DECIMALS = [
    "0",
    "-0",
    "0E+3",
    "0E-6176",
    "1.10",
    "1.1",
    "NaN",
    "Infinity",
    "-Infinity",
    "9.999999999999999999999999999999999E+6144",
    "1E-6176",
    "-1E-6176",
    "12345678901234567890.1234567890123",
]
BINARIES = [Binary(b"", 0), Binary(b"\x00\xff", 0), Binary(b"function", 1), Binary(b"old", 2), Binary(b"sixteen bytes ok", 3)]
BINARIES += [
    Binary.from_uuid(uuid.UUID(int=7)),
    Binary(b"md5 of something", 5),
    Binary(b"\x01encrypted", 6),
    Binary(b"sensitive", 8),
    Binary(b"\x27\x00" + struct.pack("<3f", 1.5, -0.0, 2.5), 9),
    Binary(b"own", 0x80),
    Binary(b"own", 0xFE),
]
DATES = [DatetimeMS(ms) for ms in (0, -1, 1_700_000_000_123, -(2**63), 2**63 - 1, -62_135_596_800_000)]
REGEXES = [Regex("", 0), Regex("^a.*b$", "i"), Regex("x", "ilmsux"), Regex("(?i)é", "u")]
CODES = [Code("function () { return 1; }"), Code("f", {}), Code("f", {"a": {"b": [1, None]}, "c": OWN})]
WHOLE = [0, 1, -1, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), Int64(0), Int64(5)]
TIMES = [Timestamp(1, 0), Timestamp(0, 1), Timestamp(2**32 - 1, 2**32 - 1)]


def element(kind, name, payload):
    return bytes([kind]) + name.encode() + b"\x00" + payload


def text(value):
    encoded = value.encode() + b"\x00"
    return struct.pack("<i", len(encoded)) + encoded


def raw(*elements):
    body = b"".join(elements)
    return RawBSONDocument(struct.pack("<i", len(body) + 5) + body + b"\x00")


def deprecated(name):
    """Undefined, DBPointer, symbol and code with scope, which pymongo itself does not write, in a document and an array."""
    undefined = element(0x06, "undefined", b"")
    pointer = element(0x0C, "pointer", text("db.c") + OWN.binary)
    symbol = element(0x0E, "symbol", text("sym"))
    scope = bson.encode({"x": 1})
    function = text("f")
    scoped = element(0x0F, "scoped", struct.pack("<i", 4 + len(function) + len(scope)) + function + scope)
    array = b"".join([element(0x06, "0", b""), element(0x0C, "1", text("c") + OWN.binary), element(0x0E, "2", text(""))])
    array = struct.pack("<i", len(array) + 5) + array + b"\x00"
    twice = element(0x10, "twice", struct.pack("<i", 1)) + element(0x10, "twice", struct.pack("<i", 2))
    return raw(element(0x02, "_id", text(name)), undefined, pointer, symbol, scoped, element(0x04, "array", array), twice)


def values():
    nested = {"a": [[], {}, [[{"b": [None, {"": 1}]}]]], "": {"": ""}, "a.b": 1, "$c": 2}
    plain = [True, False, None, OWN, MinKey(), MaxKey(), DBRef("c", OWN, "db", extra=1), nested, [], {}, [1, "1", [1]]]
    decimals = [Decimal128(text) for text in DECIMALS]
    return DOUBLES + STRINGS + decimals + BINARIES + DATES + REGEXES + CODES + WHOLE + TIMES + plain


def is_an_id(value):
    return not isinstance(value, (list, Regex)) and not isinstance(value, (dict, DBRef))


class Types:
    def __init__(self, client, random):
        self.random, self.values = random, values()
        database = client["types"]
        self.fields, self.ids, self.moved = database["fields"], database["ids"], database["moved"]
        self.raw = database["deprecated"]

    def prepare(self):
        self.fields.insert_many({"_id": number, "v": value, "in": [value, {"v": value}]} for number, value in enumerate(self.values))
        self.fields.create_index("v")
        self.fields.create_index("in.v", sparse=True)
        self.raw.insert_many(deprecated(f"before-{number}") for number in range(20))
        self.raw.create_index("symbol")
        operations = [ReplaceOne({"_id": value}, {"_id": value, "n": 0}, upsert=True) for value in filter(is_an_id, self.values)]
        self.ids.bulk_write(operations, ordered=False)
        self.moved.insert_many({"_id": number, "a": [], "n": 0} for number in range(200))

    def change(self, number):
        pick = lambda: self.random.choice(self.values)
        for _ in range(20):
            one, other = self.random.randrange(len(self.values)), self.random.randrange(200)
            self.fields.update_one({"_id": one}, {"$set": {"v": pick(), f"more.{other}": pick()}})
            self.fields.update_one({"_id": one}, {"$push": {"in": {"$each": [pick()], "$slice": -6}}})
            self.fields.update_one({"_id": one}, {"$unset": {f"more.{self.random.randrange(200)}": ""}})
            self.moved.replace_one({"_id": other}, {"_id": other, "v": pick(), "n": number, "a": [pick(), pick()]})
        self.numbers(number)
        self.whole_documents(number)

    def numbers(self, number):
        where = {"_id": number % 200}
        self.moved.update_one(where, {"$set": {"int": 2**31 - 1, "long": Int64(1), "d": 1.5, "bits": 5, "decimal": Decimal128("1.10")}})
        self.moved.update_one(where, {"$inc": {"int": 1, "d": 0.1}, "$mul": {"decimal": Decimal128("3.0"), "long": 2.5}})
        self.moved.update_one(where, {"$bit": {"bits": {"xor": 3}}, "$min": {"m": MinKey()}, "$max": {"x": Decimal128("NaN")}})
        self.moved.update_one(where, {"$currentDate": {"at": True, "stamp": {"$type": "timestamp"}}, "$rename": {"bits": "r"}})
        self.moved.update_one(where, [{"$set": {"copy": "$$ROOT.decimal", "all": ["$int", "$missing", "$v"]}}, {"$unset": "d"}])
        self.moved.update_one(where, {"$set": {"list": [{"k": 1, "v": 1}, {"k": 2, "v": [1, 2]}]}})
        self.moved.update_one(where, {"$set": {"list.$[two].v.5": None}}, array_filters=[{"two.k": 2}])
        self.moved.find_one_and_update(where, {"$pull": {"list": {"k": 1}}, "$addToSet": {"set": {"$each": [1, 1.0, Int64(1)]}}})

    def whole_documents(self, number):
        key = f"during-{number % 50}"
        self.raw.bulk_write([DeleteOne({"_id": key}), InsertOne(deprecated(key))])
        self.raw.update_one({"_id": key}, {"$set": {"more": number, "array.4": self.random.choice(self.values)}})
        self.raw.update_one({"_id": f"before-{number % 20}"}, {"$unset": {"symbol": ""}, "$set": {"n": number}})
        for value in self.random.sample([value for value in self.values if is_an_id(value)], 15):
            if self.random.random() < 0.5:
                self.ids.delete_one({"_id": value})
            else:
                self.ids.update_one({"_id": value}, {"$inc": {"n": 1}, "$set": {"v": self.random.choice(self.values)}}, upsert=True)
        session = self.fields.database.client.start_session()
        with session, session.start_transaction():
            self.moved.insert_one({"_id": ObjectId(), "n": number, "v": self.random.choice(self.values)}, session=session)
            self.ids.update_many({"n": {"$lt": 3}}, {"$set": {"in transaction": number}}, session=session)
            self.moved.delete_many({"n": {"$lt": number - 20}, "_id": {"$type": "objectId"}}, session=session)

    def answers(self):
        found = {}
        for collection in (self.fields, self.ids, self.moved, self.raw):
            types = collection.aggregate(
                [
                    {"$project": {"fields": {"$objectToArray": "$$ROOT"}}},
                    {"$unwind": "$fields"},
                    {"$group": {"_id": {"name": "$fields.k", "type": {"$type": "$fields.v"}}, "count": {"$sum": 1}}},
                    {"$sort": {"_id.name": 1, "_id.type": 1}},
                ]
            )
            found[collection.name] = [program.digest(collection), program.shown(types), sorted(collection.index_information())]
        by_type = {kind: self.fields.count_documents({"v": {"$type": kind}}) for kind in (1, 2, 3, 5, 7, 8, 9, 11, 13, 15, 16, 17, 18, 19)}
        found["by type"] = by_type
        found["undefined"] = self.raw.count_documents({"undefined": {"$type": 6}})
        return found


program.run(Types)
