// What plugin.c and component.c say to each other.
#ifndef SDK_H
#define SDK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes that belong to somebody else.
struct bytes {
    const uint8_t *start;
    size_t length;
};

// Bytes that grow.
struct buffer {
    uint8_t *start;
    size_t length, capacity;
};

void append(struct buffer *buffer, const void *bytes, size_t length);
bool equal(struct bytes bytes, const char *text);

// What becomes of a document. REPLACE: by what was appended to `replacement`, which has the same _id. REFUSE: the
// plugin cannot handle it.
enum verdict { KEEP, DROP, REPLACE, REFUSE };

// The cases of `config-fault` in wit/describe.wit.
enum fault { UNKNOWN_FIELD, MISSING_FIELD, INVALID_VALUE, INVALID_REGEX, NOT_SUPPORTED };

// Why a configuration is refused. `path` names the field, as in `rules[1].pattern`, and is empty for the
// configuration as a whole; `reason` is a sentence for the operator.
struct config_error {
    enum fault fault;
    char path[128];
    char reason[256];
};

// The collection that documents come from, on the source.
struct namespace {
    struct bytes database, collection;
};

// What a plugin is.
extern const char *const plugin_name, *const plugin_version, *const plugin_config_schema;
extern const uint32_t plugin_semantics;

// Sets the plugin up, once; false with the error filled in.
bool plugin_configure(struct bytes config, struct config_error *error);

// Decides about a document, given as raw BSON. A refusal has a sentence for the operator in `reason` that never quotes
// the document.
enum verdict plugin_transform(const struct namespace *namespace, struct bytes document, struct buffer *replacement,
                              const char **reason);

#endif
