// Connects plugin.c to the host: the exports of the world `transform-plugin`, as transform_plugin.h declares them.
//
// abort() ends the instance, and the host reports it.

#include <stdlib.h>

#include "sdk.h"
#include "transform_plugin.h"

// The generator has an object file that names the world; `tidegate plugin build` takes the world from wit/ instead.
void __component_type_object_force_link_transform_plugin(void);
void __component_type_object_force_link_transform_plugin(void) {}

void exports_tidegate_plugin_describe_describe(exports_tidegate_plugin_describe_description_t *ret) {
    transform_plugin_string_dup(&ret->name, plugin_name);
    transform_plugin_string_dup(&ret->version, plugin_version);
    ret->semantics = plugin_semantics;
    ret->scope = EXPORTS_TIDEGATE_PLUGIN_DESCRIBE_SCOPE_DOCUMENT;
    transform_plugin_string_dup(&ret->config_schema, plugin_config_schema);
}

bool exports_tidegate_plugin_describe_configure(transform_plugin_string_t *config,
                                                exports_tidegate_plugin_describe_config_error_t *err) {
    struct config_error error;
    bool taken = plugin_configure((struct bytes){config->ptr, config->len}, &error);
    if (!taken) {
        err->fault = error.fault;
        transform_plugin_string_dup(&err->path, error.path);
        transform_plugin_string_dup(&err->reason, error.reason);
    }
    transform_plugin_string_free(config);
    return taken;
}

// The length of the first document, or 0 if there is none.
static size_t first_length(struct bytes batch) {
    if (batch.length < 5) {
        return 0;
    }
    const uint8_t *start = batch.start;
    size_t length = (size_t)start[0] | (size_t)start[1] << 8 | (size_t)start[2] << 16 | (size_t)start[3] << 24;
    return length < 5 || length > batch.length ? 0 : length;
}

// Decides about a whole batch; false if the document after the last verdict is at fault.
static bool decide(const struct namespace *namespace, struct bytes batch, struct buffer *verdicts,
                   struct buffer *replacements, const char **reason) {
    while (batch.length > 0) {
        size_t length = first_length(batch);
        *reason = "it is not valid BSON";
        enum verdict verdict = REFUSE;
        if (length > 0) {
            verdict = plugin_transform(namespace, (struct bytes){batch.start, length}, replacements, reason);
        }
        if (verdict == REFUSE) {
            return false;
        }
        uint8_t byte = (uint8_t)verdict;
        append(verdicts, &byte, 1);
        batch = (struct bytes){batch.start + length, batch.length - length};
    }
    return true;
}

bool exports_tidegate_plugin_transform_transform(exports_tidegate_plugin_transform_namespace_t *namespace_,
                                                 transform_plugin_list_u8_t *documents,
                                                 exports_tidegate_plugin_transform_outcome_t *ret,
                                                 exports_tidegate_plugin_transform_error_t *err) {
    struct namespace namespace = {
        {namespace_->database.ptr, namespace_->database.len},
        {namespace_->collection.ptr, namespace_->collection.len},
    };
    struct buffer verdicts = {0}, replacements = {0};
    const char *reason = NULL;
    struct bytes batch = {documents->ptr, documents->len};
    bool decided = decide(&namespace, batch, &verdicts, &replacements, &reason);
    if (decided) {
        // The host has read both when it frees them.
        ret->verdicts = (transform_plugin_list_u8_t){verdicts.start, verdicts.length};
        ret->replacements = (transform_plugin_list_u8_t){replacements.start, replacements.length};
    } else {
        err->tag = EXPORTS_TIDEGATE_PLUGIN_TRANSFORM_ERROR_DOCUMENT;
        err->val.document.index = (uint32_t)verdicts.length;
        transform_plugin_string_dup(&err->val.document.reason, reason);
        free(verdicts.start);
        free(replacements.start);
    }
    exports_tidegate_plugin_transform_namespace_free(namespace_);
    transform_plugin_list_u8_free(documents);
    return decided;
}
