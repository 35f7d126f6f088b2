// A reader of JSON, for configurations: the host has checked them against the schema before.
#ifndef JSON_H
#define JSON_H

#include "sdk.h"

struct json {
    const uint8_t *at, *end;
};

// The next byte that is no white space; 0 at the end.
uint8_t json_peek(struct json *json);

// Whether this byte comes next, which is then read.
bool json_take(struct json *json, uint8_t byte);

// Whether another member of an object or an array follows, up to `close`. `first` is true before the first member.
bool json_more(struct json *json, uint8_t close, bool *first);

// Each reads a value of its type, and is false, with nothing read, if another comes.
bool json_string(struct json *json, struct buffer *text);
bool json_integer(struct json *json, int64_t *integer);

#endif
