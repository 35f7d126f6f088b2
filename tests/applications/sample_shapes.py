"""Collections, indexes, views, changes and queries of the sample sets: https://www.mongodb.com/docs/atlas/sample-data/"""

from bson import Binary, Decimal128, Int64


def listing(data, number):
    review = lambda: {"_id": str(data.below(10**9)), "date": data.date(), "reviewer_name": data.name(), "comments": data.words(30)}
    return {
        "_id": str(10_000_000 + number),
        "listing_url": f"rooms/{number}",
        "name": data.name(),
        "summary": data.words(60),
        "property_type": data.choice(["House", "Apartment", "Loft"]),
        "room_type": "Entire home/apt",
        "beds": data.below(9),
        "bathrooms": Decimal128(f"{data.below(4)}.5"),
        "price": data.money(),
        "extra_people": Decimal128("0.00"),
        "first_review": data.date(),
        "amenities": [data.choice(["TV", "Wifi", "Café", ""]) for _ in range(data.below(9))],
        "images": {"thumbnail_url": "", "picture_url": data.words(1)},
        "security_deposit": None,
        "address": {"street": data.words(3), "country": "Portugal", "location": {**data.point(), "is_location_exact": data.chance(0.5)}},
        "availability": {f"availability_{days}": data.below(days) for days in (30, 60, 365)},
        "review_scores": {"review_scores_rating": data.below(100)},
        "reviews": [review() for _ in range(data.below(12))],
    }


def account(data, number):
    return {
        "account_id": number,
        "limit": 9_000 + data.below(2) * 1_000,
        "products": ["Brokerage", data.choice(["Commodity", "InvestmentStock"])],
    }


def customer(data, number):
    tiers = {f"{data.below(10**6):06x}": {"tier": "Gold", "id": str(number), "active": True, "benefits": []} for _ in range(data.below(3))}
    return {
        "username": f"user{number}",
        "name": data.name(),
        "address": f"{number} Main\nTown, ST {data.below(10**5)}",
        "birthdate": data.date(),
        "email": f"{number}@example.com",
        "accounts": [data.below(900) for _ in range(3)],
        "tier_and_details": tiers,
    }


def bucket(data, number):
    one = lambda: {
        "date": data.date(),
        "amount": data.below(9_999),
        "transaction_code": "sell",
        "symbol": "adbe",
        "price": repr(data.below(10**9) / 7),
    }
    many = [one() for _ in range(1 + data.below(40))]
    return {"account_id": number, "transaction_count": len(many), "bucket_start_date": data.date(), "transactions": many}


def shipwreck(data, number):
    longitude, latitude = data.point()["coordinates"]
    return {
        "recrd": "",
        "vesslterms": "",
        "feature_type": data.choice(["Wrecks - Visible", "Wrecks - Submerged"]),
        "chart": "US,U1,graph",
        "latdec": latitude,
        "londec": longitude,
        "gp_quality": "",
        "depth": data.choice([0, 1.5, 22.3]),
        "sounding_type": "",
        "watlev": "always dry",
        "coordinates": [longitude, latitude],
    }


def planet(data, number):
    return {
        "name": f"Planet {number}",
        "orderFromSun": number,
        "hasRings": data.chance(0.5),
        "mainAtmosphere": ["CO2", "Ar", "N"][: data.below(4)],
        "surfaceTemperatureC": {"min": data.choice([None, -143.5]), "max": data.choice([None, 35]), "mean": -63},
    }


def movie(data, number):
    return {
        "title": data.name(),
        "plot": data.words(12),
        "fullplot": data.words(60),
        "genres": [data.choice(["Short", "Drama", "Comedy"])],
        "cast": [data.name() for _ in range(4)],
        "year": data.choice([1900 + data.below(120), "1981è", "2006è2012"]),
        "runtime": 90 + data.below(60),
        "released": data.date(),
        "lastupdated": "2015-08-26 00:03:50.133000000",
        "num_mflix_comments": data.below(99),
        "type": "movie",
        "imdb": {"rating": data.choice(["", 7.5, 8, data.below(99) / 10]), "votes": data.choice(["", 1_189]), "id": number},
        "awards": {"wins": data.below(9), "nominations": 0, "text": "1 win."},
        "countries": ["USA"],
        "tomatoes": {"viewer": {"rating": 3.0, "numReviews": data.below(999)}, "lastUpdated": data.date()},
    }


def embedded_movie(data, number):
    return {**movie(data, number), "plot_embedding": data.vector(1_536), "plot_embedding_packed": data.packed_vector(1_536)}


def comment(data, number):
    return {"name": data.name(), "email": f"{number}@fakegmail.com", "movie_id": data.id(), "text": data.words(20), "date": data.date()}


def session(data, number):
    return {"user_id": f"t{number}@e.com", "jwt": "eyJ" + data.words(9).replace(" ", "."), "expires": data.future()}


def theater(data, number):
    return {"theaterId": number, "location": {"address": {"city": data.name(), "zipcode": f"{data.below(10**5):05}"}, "geo": data.point()}}


def user(data, number):
    return {"name": data.name(), "email": f"user{number}@gameofthron.es", "password": "$2b$12$" + data.words(2)}


def neighborhood(data, number):
    return {"geometry": data.square(), "name": data.name()}


def restaurant(data, number):
    grade = lambda: {"date": data.date(), "grade": data.choice("ABC"), "score": data.below(40)}
    return {
        "address": {"building": str(number), "coord": data.point()["coordinates"], "street": data.name(), "zipcode": "11225"},
        "borough": "Queens",
        "cuisine": data.choice(["American ", "Café/Coffee/Tea", "Irish"]),
        "grades": [grade() for _ in range(data.below(6))],
        "name": data.name(),
        "restaurant_id": f"{30_000_000 + number}",
    }


def sale(data, number):
    item = lambda: {"name": data.words(1), "tags": ["school", "office"], "price": data.money(), "quantity": data.below(10)}
    return {
        "saleDate": data.date(),
        "items": [item() for _ in range(1 + data.below(9))],
        "storeLocation": data.choice(["Denver", "Seattle"]),
        "customer": {"gender": "M", "age": data.below(90), "email": f"{number}@x.gov", "satisfaction": data.below(6)},
        "couponUsed": data.chance(0.2),
        "purchaseMethod": "Online",
    }


def company(data, number):
    return {
        "name": f"company{number}",
        "permalink": f"company-{number}",
        "founded_year": 2_000 + data.below(20),
        "image": {"available_sizes": [[[150, 60], "a.png"], [[250, 100], "b.png"]]},
        "products": [{"name": data.name(), "permalink": ""}],
        "relationships": [{"is_past": None, "person": {"first_name": data.words(1)}}],
        "total_money_raised": "$39.8M",
        "offices": [{"latitude": data.choice([None, 37.5]), "longitude": None}],
        "tag_list": data.words(4),
        "created_at": data.date(),
        "updated_at": "Sun Mar 10 01:02:03 UTC 2013",
        "overview": f"<p>{data.words(90)}</p>",
    }


def grade(data, number):
    scores = [{"type": kind, "score": data.random.uniform(0, 100)} for kind in ("exam", "quiz", "homework", "homework")]
    return {"student_id": number, "scores": scores, "class_id": data.below(500)}


def post(data, number):
    comments = [{"body": data.words(40), "email": "a@b.c", "author": data.name()} for _ in range(data.below(30))]
    return {
        "body": data.words(300) + "\n\u2029",
        "permalink": data.words(1),
        "author": "machine",
        "title": data.name(),
        "tags": data.words(9).split(),
        "comments": comments,
        "date": data.date(),
    }


def route(data, number):
    return {
        "airline": {"id": number, "name": data.name(), "alias": "2G", "iata": "ARK"},
        "src_airport": data.choice(["BTK", "MSK"]),
        "dst_airport": "UIK",
        "codeshare": "",
        "stops": 0,
        "airplane": "A81",
    }


def trip(data, number):
    return {
        "tripduration": data.below(9_999),
        "start station id": 268,
        "start station name": data.name(),
        "bikeid": number,
        "usertype": "Subscriber",
        "birth year": data.choice([1961, ""]),
        "start station location": data.point(),
        "end station location": data.point(),
        "start time": data.date(),
        "stop time": data.date(),
    }


def zip_code(data, number):
    return {
        "city": data.name().upper(),
        "zip": f"{number:05}",
        "loc": {"y": data.below(9_000) / 100, "x": data.below(9_000) / 100},
        "pop": data.below(10**5),
        "state": data.choice(["AL", "NY"]),
    }


def weather(data, number):
    quality = lambda value: {"value": value, "quality": data.choice("19")}
    return {
        "st": "x+47600-047900",
        "ts": data.date(),
        "position": data.point(),
        "elevation": 9_999,
        "callLetters": "VCSZ",
        "qualityControlProcess": "V020",
        "dataSource": "4",
        "type": "FM-13",
        "airTemperature": quality(data.below(400) / 10 - 20),
        "dewPoint": quality(999.9),
        "pressure": quality(1015.9),
        "wind": {"direction": {"angle": data.below(360), "quality": "1"}, "type": "9", "speed": {"rate": 999.9, "quality": "9"}},
        "visibility": {"distance": quality(999_999), "variability": {"value": "N", "quality": "9"}},
        "sections": ["AG1", "AY1"],
        "precipitationEstimatedObservation": {"discrepancy": "2", "estimatedWaterDepth": 999},
        "seaSurfaceTemperature": quality(Int64(9)),
        "atmosphericPressureChange": {"tendency": quality("5"), "quantity3Hours": quality(1.5), "raw": Binary(b"\x00" * 40, 0)},
    }


VALID_RESTAURANT = {
    "$jsonSchema": {
        "bsonType": "object",
        "required": ["name", "restaurant_id"],
        "properties": {"name": {"bsonType": "string"}, "grades": {"bsonType": "array"}},
    }
}
FULL_TEXT = (
    [("cast", "text"), ("fullplot", "text"), ("genres", "text"), ("title", "text")],
    {"weights": {"title": 9, "cast": 3}, "default_language": "english"},
)

# Database and collection: a function that makes a document, a number of documents, indexes, options.
COLLECTIONS = {
    ("sample_airbnb", "listingsAndReviews"): (
        listing,
        500,
        [([("property_type", 1), ("room_type", 1), ("beds", 1)], {}), ([("name", 1)], {}), ([("address.location", "2dsphere")], {})],
        {},
    ),
    ("sample_analytics", "accounts"): (
        account,
        900,
        [([("account_id", 1)], {"unique": True})],
        {"validator": {"limit": {"$type": "number", "$gte": 0}}, "validationLevel": "moderate", "validationAction": "error"},
    ),
    ("sample_analytics", "customers"): (customer, 500, [([("username", "hashed")], {}), ([("tier_and_details.$**", 1)], {})], {}),
    ("sample_analytics", "transactions"): (bucket, 900, [([("transactions.symbol", 1), ("account_id", -1)], {})], {}),
    ("sample_geospatial", "shipwrecks"): (
        shipwreck,
        1_000,
        [([("coordinates", "2dsphere")], {}), ([("latdec", 1), ("londec", 1)], {"sparse": True})],
        {},
    ),
    ("sample_guides", "planets"): (planet, 8, [], {"collation": {"locale": "en", "strength": 2}}),
    ("sample_mflix", "movies"): (movie, 1_000, [FULL_TEXT, ([("year", 1)], {"collation": {"locale": "fr", "numericOrdering": True}})], {}),
    ("sample_mflix", "embedded_movies"): (
        embedded_movie,
        150,
        [([("imdb.id", 1)], {"hidden": True})],
        {"changeStreamPreAndPostImages": {"enabled": True}},
    ),
    ("sample_mflix", "comments"): (comment, 2_000, [([("movie_id", 1), ("date", -1)], {})], {}),
    ("sample_mflix", "sessions"): (session, 200, [([("user_id", 1)], {"unique": True}), ([("expires", 1)], {"expireAfterSeconds": 0})], {}),
    ("sample_mflix", "theaters"): (theater, 500, [([("location.geo", "2dsphere")], {}), ([("theaterId", 1)], {"unique": True})], {}),
    ("sample_mflix", "users"): (user, 200, [([("email", 1)], {"unique": True})], {}),
    ("sample_restaurants", "neighborhoods"): (neighborhood, 195, [([("geometry", "2dsphere")], {})], {}),
    ("sample_restaurants", "restaurants"): (
        restaurant,
        1_000,
        [([("address.coord", "2d")], {}), ([("borough", 1), ("cuisine", 1)], {"partialFilterExpression": {"grades.score": {"$gt": 5}}})],
        {"validator": VALID_RESTAURANT, "validationAction": "warn"},
    ),
    ("sample_supplies", "sales"): (sale, 1_000, [([("items.price", -1)], {})], {}),
    ("sample_training", "companies"): (company, 500, [], {}),
    ("sample_training", "grades"): (
        grade,
        3_000,
        [([("student_id", 1), ("class_id", 1)], {})],
        {"clusteredIndex": {"key": {"_id": 1}, "unique": True}},
    ),
    ("sample_training", "posts"): (post, 200, [([("$**", "text")], {})], {}),
    ("sample_training", "routes"): (route, 2_000, [([("airline.id", 1), ("src_airport", 1)], {})], {}),
    ("sample_training", "trips"): (trip, 1_000, [([("start station location", "2dsphere"), ("start time", 1)], {})], {}),
    ("sample_training", "zips"): (zip_code, 2_000, [([("zip", 1)], {"unique": True})], {}),
    ("sample_weatherdata", "data"): (weather, 1_000, [([("position", "2dsphere"), ("ts", 1)], {})], {}),
}

# Database, view, collection, pipeline.
VIEWS = [
    (
        "sample_mflix",
        "long_movies",
        "movies",
        [{"$match": {"runtime": {"$gt": 120}}}, {"$project": {"title": 1, "cast": 1, "imdb.rating": 1}}],
    ),
    ("sample_mflix", "casts", "long_movies", [{"$unwind": "$cast"}, {"$group": {"_id": "$cast", "movies": {"$sum": 1}}}]),
    (
        "sample_supplies",
        "by_store",
        "sales",
        [{"$unwind": "$items"}, {"$group": {"_id": "$storeLocation", "sum": {"$sum": {"$multiply": ["$items.price", "$items.quantity"]}}}}],
    ),
    (
        "sample_analytics",
        "rich",
        "accounts",
        [
            {"$lookup": {"from": "transactions", "localField": "account_id", "foreignField": "account_id", "as": "t"}},
            {"$set": {"t": {"$size": "$t"}}},
        ],
    ),
]

# By collection: the update of a document.
CHANGES = {
    "listingsAndReviews": lambda data: {
        "$push": {"reviews": {"$each": [{"_id": str(data.below(10**9)), "date": data.date()}], "$slice": -15}},
        "$set": {"price": data.money(), "address.location": data.point()},
    },
    "accounts": lambda data: {"$inc": {"limit": data.below(9)}, "$addToSet": {"products": data.words(1)}},
    "customers": lambda data: {"$set": {f"tier_and_details.{data.below(10**6):06x}": {"tier": "Silver", "benefits": [data.words(2)]}}},
    "transactions": lambda data: [
        {"$set": {"transactions": {"$slice": ["$transactions", 30]}, "transaction_count": {"$size": "$transactions"}}}
    ],
    "shipwrecks": lambda data: {"$set": {"depth": data.below(999) / 10, "coordinates": data.point()["coordinates"]}},
    "planets": lambda data: {"$set": {"surfaceTemperatureC.mean": data.below(500) - 200}, "$pop": {"mainAtmosphere": 1}},
    "movies": lambda data: {
        "$set": {"fullplot": data.words(50), "year": data.choice([1999, "1999è"])},
        "$inc": {"num_mflix_comments": 1},
        "$push": {"cast": data.name()},
    },
    "embedded_movies": lambda data: {
        "$set": {f"plot_embedding.{data.below(1_536)}": data.random.random(), "plot_embedding_packed": data.packed_vector(1_536)}
    },
    "comments": lambda data: {"$set": {"text": data.words(10)}, "$currentDate": {"edited": True}},
    "sessions": lambda data: {"$set": {"jwt": data.words(12), "expires": data.future()}},
    "theaters": lambda data: {"$set": {"location.geo": data.point()}, "$rename": {"location.address.zipcode": "location.address.zip"}},
    "users": lambda data: {"$set": {"password": data.words(3)}, "$unset": {"name": ""}},
    "neighborhoods": lambda data: {"$set": {"geometry": data.square()}},
    "restaurants": lambda data: {
        "$push": {"grades": {"$each": [{"date": data.date(), "grade": "A", "score": data.below(40)}], "$position": 0, "$slice": 8}}
    },
    "sales": lambda data: {
        "$set": {"items.0.price": data.money()},
        "$mul": {"customer.age": 1},
        "$bit": {"customer.satisfaction": {"or": 1}},
    },
    "companies": lambda data: {"$set": {"image.available_sizes.0.0.1": data.below(99), "products.2.name": "padded"}},
    "grades": lambda data: {
        "$push": {"scores": {"$each": [{"type": "exam", "score": data.random.uniform(0, 100)}], "$sort": {"score": 1}, "$slice": -6}}
    },
    "posts": lambda data: {"$pull": {"tags": data.words(1)}, "$push": {"comments": {"$each": [{"body": data.words(9)}], "$slice": 30}}},
    "routes": lambda data: {"$set": {"airline.name": data.name(), "stops": data.below(3)}},
    "trips": lambda data: {"$set": {"birth year": data.choice([1970, "", None]), "end station location": data.point()}},
    "zips": lambda data: {"$inc": {"pop": 1}, "$set": {"loc.y": data.below(90) / 7}},
    "data": lambda data: {
        "$set": {"airTemperature.value": data.below(400) / 10, "sections": data.words(3).split()},
        "$max": {"elevation": data.below(99_999)},
    },
}

LISBON = {"type": "Point", "coordinates": [-9.1, 38.7]}

# Queries of the documentation of the sets, each with one order of results.
QUERIES = {
    "listings near Lisbon": (
        "sample_airbnb",
        "listingsAndReviews",
        [
            {"$geoNear": {"near": LISBON, "distanceField": "far", "query": {"beds": {"$gt": 2}}}},
            {"$sort": {"far": 1, "_id": 1}},
            {"$limit": 20},
            {"$project": {"name": 1, "far": 1}},
        ],
    ),
    "prices": (
        "sample_airbnb",
        "listingsAndReviews",
        [
            {
                "$bucket": {
                    "groupBy": "$price",
                    "boundaries": [0, 100, 10_000, 10**9],
                    "default": "other",
                    "output": {"count": {"$sum": 1}, "beds": {"$avg": "$beds"}},
                }
            }
        ],
    ),
    "movies by text": (
        "sample_mflix",
        "movies",
        [
            {"$match": {"$text": {"$search": "fjord -ocean"}}},
            {"$sort": {"score": {"$meta": "textScore"}, "_id": 1}},
            {"$limit": 30},
            {"$project": {"title": 1, "score": {"$meta": "textScore"}}},
        ],
    ),
    "posts by text": (
        "sample_training",
        "posts",
        [{"$match": {"$text": {"$search": '"north ocean"'}}}, {"$sort": {"_id": 1}}, {"$project": {"title": 1}}],
    ),
    "wrecks in a circle": (
        "sample_geospatial",
        "shipwrecks",
        [
            {"$match": {"coordinates": {"$geoWithin": {"$centerSphere": [[0, 40], 0.7]}}}},
            {"$group": {"_id": "$feature_type", "depth": {"$max": "$depth"}, "count": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ],
    ),
    "neighborhoods that meet": (
        "sample_restaurants",
        "neighborhoods",
        [
            {
                "$match": {
                    "geometry": {
                        "$geoIntersects": {
                            "$geometry": {"type": "Polygon", "coordinates": [[[-60, -40], [60, -40], [60, 40], [-60, 40], [-60, -40]]]}
                        }
                    }
                }
            },
            {"$sort": {"_id": 1}},
            {"$project": {"name": 1}},
        ],
    ),
    "restaurants by place": (
        "sample_restaurants",
        "restaurants",
        [
            {"$match": {"address.coord": {"$geoWithin": {"$box": [[-50, -50], [50, 50]]}}}},
            {"$sortByCount": "$cuisine"},
            {"$sort": {"count": -1, "_id": 1}},
        ],
    ),
    "running sums of sales": (
        "sample_supplies",
        "sales",
        [
            {
                "$setWindowFields": {
                    "partitionBy": "$storeLocation",
                    "sortBy": {"saleDate": 1, "_id": 1},
                    "output": {"so far": {"$sum": {"$size": "$items"}, "window": {"documents": ["unbounded", "current"]}}},
                }
            },
            {"$sort": {"_id": 1}},
            {"$limit": 50},
            {"$project": {"so far": 1}},
        ],
    ),
    "accounts with transactions": (
        "sample_analytics",
        "customers",
        [
            {"$lookup": {"from": "accounts", "localField": "accounts", "foreignField": "account_id", "as": "a"}},
            {"$project": {"sum": {"$sum": "$a.limit"}}},
            {"$sort": {"_id": 1}},
            {"$limit": 50},
        ],
    ),
    "grades": (
        "sample_training",
        "grades",
        [
            {"$unwind": "$scores"},
            {"$group": {"_id": "$scores.type", "count": {"$sum": 1}, "best": {"$max": "$scores.score"}}},
            {"$sort": {"_id": 1}},
        ],
    ),
    "weather near Lisbon": (
        "sample_weatherdata",
        "data",
        [
            {"$geoNear": {"near": LISBON, "distanceField": "far", "key": "position"}},
            {"$sort": {"far": 1, "_id": 1}},
            {"$limit": 20},
            {"$project": {"airTemperature": 1, "far": 1}},
        ],
    ),
}
