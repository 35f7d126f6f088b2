#include "json.h"

uint8_t json_peek(struct json *json) {
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r')) {
        json->at++;
    }
    return json->at < json->end ? *json->at : 0;
}

bool json_take(struct json *json, uint8_t byte) {
    bool there = json_peek(json) == byte && json->at < json->end;
    json->at += there;
    return there;
}

bool json_more(struct json *json, uint8_t close, bool *first) {
    if (json_peek(json) == close) {
        return false;
    }
    bool more = *first || json_take(json, ',');
    *first = false;
    return more;
}

static bool hexadecimal(struct json *json, uint32_t *code) {
    *code = 0;
    for (int digit = 0; digit < 4; digit++, json->at++) {
        uint8_t byte = json->at < json->end ? *json->at : 0;
        uint8_t letter = byte | 0x20;
        if (byte >= '0' && byte <= '9') {
            *code = *code * 16 + (byte - '0');
        } else if (letter >= 'a' && letter <= 'f') {
            *code = *code * 16 + (letter - 'a' + 10);
        } else {
            return false;
        }
    }
    return true;
}

static void append_utf8(struct buffer *text, uint32_t code) {
    uint8_t bytes[4];
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t at = length - 1; at > 0; at--, code >>= 6) {
        bytes[at] = 0x80 | (code & 0x3F);
    }
    static const uint8_t lead[] = {0x00, 0xC0, 0xE0, 0xF0};
    bytes[0] = (uint8_t)(lead[length - 1] | code);
    append(text, bytes, length);
}

// What follows a backslash.
static bool escaped(struct json *json, struct buffer *text) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint8_t byte = json->at < json->end ? *json->at++ : 0;
    for (size_t at = 0; at < sizeof from - 1; at++) {
        if (byte == (uint8_t)from[at]) {
            append(text, to + at, 1);
            return true;
        }
    }
    uint32_t code, low;
    if (byte != 'u' || !hexadecimal(json, &code)) {
        return false;
    }
    if (code >= 0xD800 && code < 0xDC00) {
        if (json->end - json->at < 6 || json->at[0] != '\\' || json->at[1] != 'u') {
            return false;
        }
        json->at += 2;
        if (!hexadecimal(json, &low) || low < 0xDC00 || low > 0xDFFF) {
            return false;
        }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
        return false;
    }
    append_utf8(text, code);
    return true;
}

bool json_string(struct json *json, struct buffer *text) {
    const uint8_t *before = json->at;
    text->length = 0;
    if (json_take(json, '"')) {
        while (json->at < json->end && *json->at >= 0x20) {
            uint8_t byte = *json->at++;
            if (byte == '"') {
                return true;
            }
            if (byte != '\\') {
                append(text, &byte, 1);
            } else if (!escaped(json, text)) {
                break;
            }
        }
    }
    json->at = before;
    return false;
}

bool json_integer(struct json *json, int64_t *integer) {
    const uint8_t *before = json->at;
    bool negative = json_take(json, '-');
    uint64_t value = 0, most = negative ? (uint64_t)1 << 63 : ((uint64_t)1 << 63) - 1;
    const uint8_t *digits = json->at;
    bool fits = true;
    for (; json->at < json->end && *json->at >= '0' && *json->at <= '9'; json->at++) {
        uint64_t digit = *json->at - '0';
        fits = fits && value <= (most - digit) / 10;
        value = value * 10 + digit;
    }
    uint8_t next = json_peek(json);
    if (json->at == digits || !fits || next == '.' || next == 'e' || next == 'E') {
        json->at = before;
        return false;
    }
    *integer = (int64_t)(negative ? 0 - value : value);
    return true;
}
