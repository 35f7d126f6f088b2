#include "raw_bson.h"

#include <string.h>

static uint32_t uint32_at(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t uint64_at(const uint8_t *bytes) {
    return (uint64_t)uint32_at(bytes) | (uint64_t)uint32_at(bytes + 4) << 32;
}

struct walk bson_walk(struct bytes document) {
    size_t length = document.length;
    if (length < 5 || uint32_at(document.start) != length || document.start[length - 1] != 0) {
        return (struct walk){{NULL, 0}, true};
    }
    return (struct walk){{document.start + 4, length - 5}, false};
}

// The length up to the next zero, which it does not count.
static bool until_zero(struct bytes bytes, size_t *length) {
    const uint8_t *zero = bytes.length == 0 ? NULL : memchr(bytes.start, 0, bytes.length);
    *length = zero == NULL ? 0 : (size_t)(zero - bytes.start);
    return zero != NULL;
}

// The size of a value that begins with a length, which does not count `more` of its bytes.
static bool counted(struct bytes value, uint64_t more, uint32_t least, uint64_t *length) {
    if (value.length < 4 || uint32_at(value.start) < least) {
        return false;
    }
    *length = uint32_at(value.start) + more;
    return true;
}

static bool fixed(uint64_t size, uint64_t *length) {
    *length = size;
    return true;
}

static bool regex_length(struct bytes value, uint64_t *length) {
    size_t pattern, options;
    if (!until_zero(value, &pattern)) {
        return false;
    }
    struct bytes rest = {value.start + pattern + 1, value.length - pattern - 1};
    *length = until_zero(rest, &options) ? pattern + options + 2 : 0;
    return *length > 0;
}

static bool length_of(uint8_t kind, struct bytes value, uint64_t *length) {
    switch (kind) {
    case 0x06: case BSON_NULL: case 0x7F: case 0xFF:
        return fixed(0, length);
    case BSON_BOOLEAN:
        return fixed(1, length);
    case BSON_INT32:
        return fixed(4, length);
    case BSON_DOUBLE: case BSON_DATE: case 0x11: case BSON_INT64:
        return fixed(8, length);
    case BSON_OBJECT_ID:
        return fixed(12, length);
    case 0x13:
        return fixed(16, length);
    case BSON_REGEX:
        return regex_length(value, length);
    case BSON_STRING: case 0x0D: case 0x0E:
        return counted(value, 4, 1, length);
    case BSON_DOCUMENT: case BSON_ARRAY:
        return counted(value, 0, 5, length);
    case BSON_BINARY:
        return counted(value, 5, 0, length);
    case 0x0C:
        return counted(value, 16, 1, length);
    case 0x0F:
        return counted(value, 0, 14, length);
    default:
        return false;
    }
}

bool bson_next(struct walk *walk, struct element *element) {
    if (walk->malformed || walk->rest.length == 0) {
        return false;
    }
    struct bytes rest = {walk->rest.start + 1, walk->rest.length - 1};
    size_t name;
    uint64_t length;
    walk->malformed = true;
    if (!until_zero(rest, &name)) {
        return false;
    }
    struct bytes value = {rest.start + name + 1, rest.length - name - 1};
    if (!length_of(walk->rest.start[0], value, &length) || length > value.length) {
        return false;
    }
    walk->malformed = false;
    element->kind = walk->rest.start[0];
    element->name = (struct bytes){rest.start, name};
    element->value = (struct bytes){value.start, (size_t)length};
    walk->rest = (struct bytes){value.start + length, value.length - (size_t)length};
    return true;
}

bool bson_find(struct bytes document, const char *name, struct element *found) {
    struct walk walk = bson_walk(document);
    struct element element;
    found->kind = BSON_NONE;
    while (bson_next(&walk, &element)) {
        if (found->kind == BSON_NONE && equal(element.name, name)) {
            *found = element;
        }
    }
    return !walk.malformed;
}

bool bson_text(const struct element *element, struct bytes *text) {
    if (element->kind != BSON_STRING) {
        return false;
    }
    *text = (struct bytes){element->value.start + 4, element->value.length - 5};
    return true;
}

bool bson_integer(const struct element *element, int64_t *integer) {
    double number;
    uint64_t bits;
    switch (element->kind) {
    case BSON_INT32:
        *integer = (int32_t)uint32_at(element->value.start);
        return true;
    case BSON_INT64:
        *integer = (int64_t)uint64_at(element->value.start);
        return true;
    case BSON_DOUBLE:
        bits = uint64_at(element->value.start);
        memcpy(&number, &bits, sizeof number);
        if (!(number >= -0x1p63 && number < 0x1p63) || (double)(int64_t)number != number) {
            return false;
        }
        *integer = (int64_t)number;
        return true;
    default:
        return false;
    }
}
