"""The parts that all applications in Python share.

An application is called as `PROGRAM MODE URI SEED`. `prepare` writes its data. `work` keeps changing them, prints `round` after
each round, and ends after the round in which standard input is closed. `answers` reads, and prints JSON that has to be the
same on both clusters.
"""

import hashlib
import json
import random
import sys
import threading

import pymongo
from bson import json_util
from bson.raw_bson import RawBSONDocument


def run(application):
    """Runs the application that has the methods `prepare`, `change` (one round) and `answers`."""
    mode, uri, seed = sys.argv[1:]
    client = pymongo.MongoClient(uri, w="majority", readConcernLevel="majority", datetime_conversion="DATETIME_AUTO")
    application = application(client, random.Random(f"{seed} {mode}"))
    if mode == "prepare":
        application.prepare()
    elif mode == "work":
        work(application)
    elif mode == "answers":
        print(json.dumps(application.answers(), sort_keys=True, indent=1))
    else:
        sys.exit(f"unknown mode {mode}")


def work(application):
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    number = 0
    while True:
        application.change(number)
        number += 1
        print("round", flush=True)
        if closed.is_set():
            return


def digest(collection):
    """The count of a collection's documents, and a digest of their bytes in the order of their `_id`s."""
    raw = collection.with_options(codec_options=collection.codec_options.with_options(document_class=RawBSONDocument))
    sum, count = hashlib.sha256(), 0
    for document in raw.find().sort("_id", 1):
        sum.update(document.raw)
        count += 1
    return [count, sum.hexdigest()]


def shown(results):
    """Results of a query in canonical Extended JSON, which keeps types apart."""
    return json.loads(json_util.dumps(list(results), json_options=json_util.CANONICAL_JSON_OPTIONS))
