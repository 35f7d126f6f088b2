// Runs natively, without any WebAssembly: make test
#include <stdio.h>
#include <string.h>

#include "raw_bson.h"
#include "sdk.h"

static int failed;

static void expect(bool holds, const char *what) {
    if (!holds) {
        printf("FAILED: %s\n", what);
        failed++;
    }
}

static struct bytes bytes_of(const char *text) { return (struct bytes){(const uint8_t *)text, strlen(text)}; }

static void element(struct buffer *document, uint8_t kind, const char *name, const void *value, size_t length) {
    append(document, &kind, 1);
    append(document, name, strlen(name) + 1);
    append(document, value, length);
}

static struct bytes finish(struct buffer *document) {
    append(document, "", 1);
    for (int byte = 0; byte < 4; byte++) {
        document->start[byte] = (uint8_t)(document->length >> (8 * byte));
    }
    return (struct bytes){document->start, document->length};
}

// A document with a `status`, after fields with every kind of length.
static struct bytes status(uint8_t kind, const void *value, size_t length) {
    static struct buffer document;
    document.length = 0;
    append(&document, "\0\0\0\0", 4);
    element(&document, BSON_OBJECT_ID, "_id", "123456789012", 12);
    element(&document, BSON_REGEX, "regex", "^a\0i", 5);
    element(&document, BSON_BINARY, "binary", "\3\0\0\0\0abc", 8);
    element(&document, BSON_DOCUMENT, "nested", "\x11\0\0\0\x10status\0\1\0\0\0", 17);
    element(&document, kind, "status", value, length);
    return finish(&document);
}

static enum verdict decide(struct bytes document) {
    struct namespace namespace = {bytes_of("shop"), bytes_of("orders")};
    struct buffer replacement = {0};
    const char *reason = NULL;
    return plugin_transform(&namespace, document, &replacement, &reason);
}

static void keeps_what_has_one_of_the_values(void) {
    expect(decide(status(BSON_STRING, "\7\0\0\0active", 11)) == KEEP, "active");
    expect(decide(status(BSON_STRING, "\3\0\0\0\xc3\xa9", 7)) == KEEP, "a letter that was escaped");
    expect(decide(status(BSON_INT32, "\7\0\0\0", 4)) == KEEP, "7 as an int32");
    expect(decide(status(BSON_INT64, "\7\0\0\0\0\0\0\0", 8)) == KEEP, "7 as an int64");
    expect(decide(status(BSON_DOUBLE, "\0\0\0\0\0\0\x1c\x40", 8)) == KEEP, "7 as a double");
}

static void drops_the_others(void) {
    expect(decide(status(BSON_STRING, "\5\0\0\0gone", 9)) == DROP, "gone");
    expect(decide(status(BSON_STRING, "\2\0\0\0""7", 6)) == DROP, "7 as a string");
    expect(decide(status(BSON_INT32, "\1\0\0\0", 4)) == DROP, "1");
    expect(decide(status(BSON_NULL, "", 0)) == DROP, "null");
    expect(decide((struct bytes){(const uint8_t *)"\5\0\0\0", 5}) == DROP, "no field at all");
}

static void what_is_no_bson_is_refused(void) {
    struct bytes whole = status(BSON_STRING, "\7\0\0\0active", 11);
    for (size_t length = 0; length < whole.length; length++) {
        expect(decide((struct bytes){whole.start, length}) == REFUSE, "a document that is cut off");
    }
    expect(decide(status(0x7E, "", 0)) == REFUSE, "an unknown type");
}

static void a_wrong_configuration_is_refused_by_path(void) {
    static const struct {
        const char *config;
        enum fault fault;
        const char *path;
    } wrong[] = {
        {"[]", INVALID_VALUE, ""},
        {"{\"field\": \"a\"}", MISSING_FIELD, ""},
        {"{\"field\": \"a\", \"values\": [1], \"more\": 1}", UNKNOWN_FIELD, "more"},
        {"{\"field\": 1, \"values\": [1]}", INVALID_VALUE, "field"},
        {"{\"field\": \"a\", \"values\": []}", INVALID_VALUE, "values"},
        {"{\"field\": \"a\", \"values\": [\"a\", true]}", INVALID_VALUE, "values[1]"},
        {"{\"field\": \"a\", \"values\": [9223372036854775808]}", INVALID_VALUE, "values[0]"},
    };
    for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) {
        struct config_error error;
        bool taken = plugin_configure(bytes_of(wrong[at].config), &error);
        expect(!taken && error.fault == wrong[at].fault && strcmp(error.path, wrong[at].path) == 0, wrong[at].config);
    }
}

int main(void) {
    struct config_error error;
    a_wrong_configuration_is_refused_by_path();
    struct bytes config = bytes_of("{\"field\": \"status\", \"values\": [\"active\", \"\\u00e9\", 7]}");
    expect(plugin_configure(config, &error), "a configuration");
    keeps_what_has_one_of_the_values();
    drops_the_others();
    what_is_no_bson_is_refused();
    printf(failed == 0 ? "all tests passed\n" : "%d tests failed\n", failed);
    return failed == 0 ? 0 : 1;
}
