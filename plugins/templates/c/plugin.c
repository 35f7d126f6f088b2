// {{name}}: keeps the documents whose `field` has any of `values`, drops the others.
//
//     {"field": "status", "values": ["active", 7]}
//
// This file is the plugin: change it. component.c connects it to the host.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "raw_bson.h"
#include "sdk.h"

const char *const plugin_name = "{{name}}";
const char *const plugin_version = "0.1.0";

// Raise this when the same document gets a different answer on purpose.
const uint32_t plugin_semantics = 1;

const char *const plugin_config_schema =
    "{"
    "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    "  \"type\": \"object\","
    "  \"properties\": {"
    "    \"field\": {"
    "      \"type\": \"string\","
    "      \"minLength\": 1,"
    "      \"description\": \"The name of a top-level field.\""
    "    },"
    "    \"values\": {"
    "      \"type\": \"array\","
    "      \"minItems\": 1,"
    "      \"items\": {\"type\": [\"string\", \"integer\"]},"
    "      \"description\": \"A document is kept if its field has one of these.\""
    "    }"
    "  },"
    "  \"required\": [\"field\", \"values\"],"
    "  \"additionalProperties\": false"
    "}";

// A string, or an integer if `text` has no start.
struct wanted {
    struct bytes text;
    int64_t integer;
};

// The configuration: set once, and read from then on.
static char *field;
static struct wanted *values;
static size_t count;

static bool refuse(struct config_error *error, enum fault fault, const char *path, const char *reason) {
    error->fault = fault;
    snprintf(error->path, sizeof error->path, "%s", path);
    snprintf(error->reason, sizeof error->reason, "%s", reason);
    return false;
}

static void *owned(const void *bytes, size_t length) {
    char *copy = calloc(length + 1, 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, bytes, length);
    return copy;
}

static void forget(void) {
    while (count > 0) {
        free((void *)values[--count].text.start);
    }
    free(field);
    field = NULL;
}

static bool configure_field(struct json *json, struct buffer *text, struct config_error *error) {
    if (!json_string(json, text) || text->length == 0 || memchr(text->start, 0, text->length) != NULL) {
        return refuse(error, INVALID_VALUE, "field", "it is not the name of a field");
    }
    free(field);
    field = owned(text->start, text->length);
    return true;
}

static bool configure_values(struct json *json, struct buffer *text, struct config_error *error) {
    bool first = true;
    if (!json_take(json, '[') || json_peek(json) == ']') {
        return refuse(error, INVALID_VALUE, "values", "it is not a list of one value or more");
    }
    while (json_more(json, ']', &first)) {
        struct wanted wanted = {{NULL, 0}, 0};
        if (json_string(json, text)) {
            const char *content = text->length == 0 ? "" : (const char *)text->start;
            wanted.text = (struct bytes){owned(content, text->length), text->length};
        } else if (!json_integer(json, &wanted.integer)) {
            char path[32];
            snprintf(path, sizeof path, "values[%zu]", count);
            return refuse(error, INVALID_VALUE, path, "it is neither a string nor an integer");
        }
        values = realloc(values, (count + 1) * sizeof *values);
        if (values == NULL) {
            abort();
        }
        values[count++] = wanted;
    }
    return json_take(json, ']') || refuse(error, INVALID_VALUE, "values", "it is not a list of one value or more");
}

bool plugin_configure(struct bytes config, struct config_error *error) {
    struct json json = {config.start, config.start + config.length};
    struct buffer text = {0};
    bool first = true, good = true;
    forget();
    if (!json_take(&json, '{')) {
        return refuse(error, INVALID_VALUE, "", "a configuration is a JSON object");
    }
    while (good && json_more(&json, '}', &first)) {
        if (!json_string(&json, &text) || !json_take(&json, ':')) {
            good = refuse(error, INVALID_VALUE, "", "a configuration is a JSON object");
        } else if (equal((struct bytes){text.start, text.length}, "field")) {
            good = configure_field(&json, &text, error);
        } else if (equal((struct bytes){text.start, text.length}, "values")) {
            good = configure_values(&json, &text, error);
        } else {
            append(&text, "", 1);
            good = refuse(error, UNKNOWN_FIELD, (char *)text.start, "there is no such field; known are field, values");
        }
    }
    free(text.start);
    if (good && field == NULL) {
        return refuse(error, MISSING_FIELD, "", "the field `field` is missing");
    }
    if (good && count == 0) {
        return refuse(error, MISSING_FIELD, "", "the field `values` is missing");
    }
    return good;
}

enum verdict plugin_transform(const struct namespace *namespace, struct bytes document, struct buffer *replacement,
                              const char **reason) {
    (void)namespace;
    (void)replacement;
    struct element found;
    struct bytes text;
    int64_t integer;
    if (!bson_find(document, field, &found)) {
        *reason = "it is not valid BSON";
        return REFUSE;
    }
    bool is_text = bson_text(&found, &text), is_integer = bson_integer(&found, &integer);
    for (size_t at = 0; at < count; at++) {
        const struct wanted *wanted = &values[at];
        if (wanted->text.start == NULL) {
            if (is_integer && integer == wanted->integer) {
                return KEEP;
            }
        } else if (is_text && text.length == wanted->text.length &&
                   memcmp(text.start, wanted->text.start, text.length) == 0) {
            return KEEP;
        }
    }
    return DROP;
}
