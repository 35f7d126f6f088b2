#include "sdk.h"

#include <stdlib.h>
#include <string.h>

void append(struct buffer *buffer, const void *bytes, size_t length) {
    if (length == 0) {
        return;
    }
    if (length > buffer->capacity - buffer->length) {
        size_t capacity = 2 * (buffer->length + length);
        uint8_t *start = realloc(buffer->start, capacity);
        if (start == NULL) {
            abort();
        }
        buffer->start = start;
        buffer->capacity = capacity;
    }
    memcpy(buffer->start + buffer->length, bytes, length);
    buffer->length += length;
}

bool equal(struct bytes bytes, const char *text) {
    return bytes.length == strlen(text) && memcmp(bytes.start, text, bytes.length) == 0;
}
