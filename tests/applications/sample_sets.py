"""Data in the shapes of MongoDB's sample sets, generated from a seed, with their indexes, some validators and views, and the
queries that the sets are used for."""

import datetime
import struct

import program
import sample_shapes
from bson import Binary, Decimal128, ObjectId

EPOCH = datetime.datetime(2015, 1, 1)
WORDS = "amber birch cedar delta ember fjord grove heath inlet jetty knoll ledge marsh north ocean plain quartz ridge".split()


class Data:
    """Values of documents, from a generator of random numbers."""

    def __init__(self, random):
        self.random = random
        self.choice, self.below, self.chance = random.choice, random.randrange, lambda part: random.random() < part

    def words(self, number):
        return " ".join(self.choice(WORDS) for _ in range(number))

    def name(self):
        return self.words(2).title()

    def date(self):
        return EPOCH + datetime.timedelta(milliseconds=self.below(10**11))

    def future(self):
        return self.date() + datetime.timedelta(days=27_000)

    def money(self):
        return Decimal128(f"{self.below(100_000)}.{self.below(100):02}")

    def id(self):
        return ObjectId(self.random.randbytes(12))

    def point(self):
        return {"type": "Point", "coordinates": [self.below(36_000) / 100 - 180, self.below(17_000) / 100 - 85]}

    def square(self):
        x, y, side = self.below(300) - 150, self.below(140) - 70, 1 + self.below(5)
        ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
        return {"type": "Polygon", "coordinates": [ring]}

    def vector(self, dimensions):
        return [self.random.uniform(-1, 1) for _ in range(dimensions)]

    def packed_vector(self, dimensions):
        return Binary(b"\x27\x00" + struct.pack(f"<{dimensions}f", *self.vector(dimensions)), 9)


class SampleSets:
    def __init__(self, client, random):
        self.client, self.data = client, Data(random)

    def prepare(self):
        for (database, name), (make, number, indexes, options) in sample_shapes.COLLECTIONS.items():
            collection = self.client[database].create_collection(name, **options)
            for keys, more in indexes:
                collection.create_index(keys, **more)
            collection.insert_many((make(self.data, n) for n in range(number)), ordered=False)
        for database, name, source, pipeline in sample_shapes.VIEWS:
            self.client[database].command("create", name, viewOn=source, pipeline=pipeline)

    def change(self, number):
        for (database, name), (make, documents, _, _) in sample_shapes.COLLECTIONS.items():
            collection = self.client[database][name]
            changes = sample_shapes.CHANGES[name]
            # The ids that `make` gives are those of its argument, or random.
            existing = collection.aggregate([{"$sample": {"size": 8}}, {"$project": {"_id": 1}}])
            ids = [document["_id"] for document in existing]
            for id in ids[:6]:
                collection.update_one({"_id": id}, changes(self.data))
            if number % 4 == 0:
                collection.delete_one({"_id": ids[6]})
                fresh = make(self.data, documents + self.data.below(10**9))
                collection.replace_one({"_id": fresh.setdefault("_id", self.data.id())}, fresh, upsert=True)
            self.replace(collection, make(self.data, documents + self.data.below(10**9)), ids[7])
        self.transfer(number)

    def replace(self, collection, document, id):
        document.pop("_id", None)
        unique = [index["key"] for index in collection.list_indexes() if index.get("unique")]
        # A replacement with a new value of a unique field.
        assert all(len(keys) == 1 for keys in unique)
        collection.replace_one({"_id": id}, document)

    def transfer(self, number):
        """A transaction over two collections, as in the documentation of sample_analytics."""
        analytics = self.client["sample_analytics"]
        with self.client.start_session() as session, session.start_transaction():
            account = analytics["accounts"].find_one_and_update({}, {"$inc": {"limit": 100}}, sort=[("account_id", 1)], session=session)
            one = {
                "date": self.data.date(),
                "amount": number,
                "transaction_code": "buy",
                "symbol": "amd",
                "price": str(self.data.below(900) / 7),
            }
            analytics["transactions"].update_one(
                {"account_id": account["account_id"]}, {"$push": {"transactions": one}, "$inc": {"transaction_count": 1}}, session=session
            )

    def answers(self):
        found = {}
        for database, name in sample_shapes.COLLECTIONS:
            collection = self.client[database][name]
            indexes = sorted((index["name"], str(index)) for index in collection.list_indexes())
            options = next(self.client[database].list_collections(filter={"name": name}))["options"]
            found[f"{database}.{name}"] = [program.digest(collection), indexes, program.shown([options])]
        for database, name, _, _ in sample_shapes.VIEWS:
            found[f"{database}.{name}"] = program.shown(self.client[database][name].find().sort("_id", 1).limit(200))
        for title, (database, name, pipeline) in sample_shapes.QUERIES.items():
            results = program.shown(self.client[database][name].aggregate(pipeline))
            assert results, f"{title} finds nothing"
            found[title] = results
        return found


if __name__ == "__main__":
    program.run(SampleSets)
