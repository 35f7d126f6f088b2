// Raw BSON, read in place. A walk trusts no length: it ends at the document's end, or says that it is malformed.
#ifndef RAW_BSON_H
#define RAW_BSON_H

#include "sdk.h"

// Types of values (bsonspec.org).
enum kind {
    BSON_NONE = 0x00,
    BSON_DOUBLE = 0x01,
    BSON_STRING = 0x02,
    BSON_DOCUMENT = 0x03,
    BSON_ARRAY = 0x04,
    BSON_BINARY = 0x05,
    BSON_OBJECT_ID = 0x07,
    BSON_BOOLEAN = 0x08,
    BSON_DATE = 0x09,
    BSON_NULL = 0x0A,
    BSON_REGEX = 0x0B,
    BSON_INT32 = 0x10,
    BSON_INT64 = 0x12,
};

// A field of a document.
struct element {
    enum kind kind;
    struct bytes name, value;
};

// What is left of a document.
struct walk {
    struct bytes rest;
    bool malformed;
};

struct walk bson_walk(struct bytes document);

// The next field; false at the end, and where the document is malformed.
bool bson_next(struct walk *walk, struct element *element);

// The top-level field of this name; its kind is BSON_NONE if there is none. False if the document is malformed,
// wherever.
bool bson_find(struct bytes document, const char *name, struct element *found);

// The content of a string.
bool bson_text(const struct element *element, struct bytes *text);

// A number of any type that is an integer.
bool bson_integer(const struct element *element, int64_t *integer);

#endif
