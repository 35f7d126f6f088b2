"""An application that keeps files in GridFS: uploads, revisions under one name, renames, deletes, an upload that fails."""

import hashlib

import gridfs
import program

# Around the sizes at which a chunk ends, and several megabytes.
SIZES = [0, 1, 261_119, 261_120, 261_121, 522_240, 1_000_003, 5_000_000]


class Files:
    def __init__(self, client, random):
        self.random = random
        database = client["files"]
        self.buckets = {
            "fs": gridfs.GridFSBucket(database),
            "small": gridfs.GridFSBucket(database, bucket_name="small", chunk_size_bytes=1_000),
        }
        self.database = database

    def prepare(self):
        for name, bucket in self.buckets.items():
            for number, size in enumerate(SIZES):
                # A chunk of a kilobyte is for small files.
                size = size if name == "fs" else size % 40_000
                self.upload(bucket, f"before-{number}", size)

    def upload(self, bucket, name, size):
        content = self.random.randbytes(size)
        metadata = {"owner": "ann", "tags": ["a", {"b": None}], "sha256": hashlib.sha256(content).hexdigest()}
        return bucket.upload_from_stream(name, content, metadata=metadata)

    def change(self, number):
        for bucket in self.buckets.values():
            name = f"during-{number % 20}"
            self.upload(bucket, name, self.random.choice([0, 999, 1_000, 1_001, 30_000, 300_000]))
            # Another revision under the same name, a file under an id of its own, and a stream in pieces.
            self.upload(bucket, f"before-{number % len(SIZES)}", self.random.randrange(2_000))
            bucket.upload_from_stream_with_id(f"id-{number}-{self.random.random()}", "own-id", b"own id")
            with bucket.open_upload_stream(name) as stream:
                for _ in range(5):
                    stream.write(self.random.randbytes(self.random.randrange(3_000)))
            self.rename_and_delete(bucket, number)
            aborted = bucket.open_upload_stream("aborted")
            aborted.write(self.random.randbytes(600_000))
            aborted.abort()

    def rename_and_delete(self, bucket, number):
        files = list(bucket.find({"filename": {"$regex": "^during-"}}).sort("uploadDate", 1))
        for file in files[: max(0, len(files) - 30)]:
            bucket.delete(file._id)
        if number % 3 == 0:
            bucket.rename(files[-1]._id, f"renamed-{number % 7}")
        for file in list(bucket.find({"filename": "own-id"}).sort("uploadDate", 1))[:-5]:
            bucket.delete(file._id)
        for file in list(bucket.find({"filename": {"$regex": "^renamed-"}}).sort("uploadDate", 1))[:-15]:
            bucket.delete(file._id)

    def answers(self):
        found = {}
        for name, bucket in self.buckets.items():
            files, newest = [], {}
            for file in bucket.find().sort("_id", 1):
                content = file.read()
                # The uploads in one piece say what they hold.
                said = (file.metadata or {}).get("sha256")
                sum = hashlib.sha256(content).hexdigest()
                assert said in (None, sum), f"{file.filename} is damaged"
                assert len(content) == file.length, f"{file.filename} has another length"
                files.append([file.filename, file.length, sum])
                newest[file.filename] = None
            for filename in sorted(newest):
                latest = bucket.open_download_stream_by_name(filename).read()
                first = bucket.open_download_stream_by_name(filename, revision=0).read()
                newest[filename] = [hashlib.sha256(content).hexdigest() for content in (latest, first)]
            orphans = self.database[f"{name}.chunks"].aggregate(
                [
                    {"$lookup": {"from": f"{name}.files", "localField": "files_id", "foreignField": "_id", "as": "file"}},
                    {"$match": {"file": []}},
                    {"$count": "chunks"},
                ]
            )
            found[name] = {"files": files, "revisions": newest, "orphans": program.shown(orphans)}
            for part in ("files", "chunks"):
                collection = self.database[f"{name}.{part}"]
                found[name][part + " collection"] = program.digest(collection)
                found[name][part + " indexes"] = sorted(collection.index_information())
        return found


program.run(Files)
