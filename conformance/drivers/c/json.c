#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

static char *put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

static const char *parse_text(const char *p, const char **text)
{
    char *out = malloc(strlen(p) + 1), *to = out;
    *text = out;
    for (p++; *p && *p != '"'; p++) {
        if (*p != '\\') {
            *to++ = *p;
            continue;
        }
        switch (*++p) {
        case 'n': *to++ = '\n'; break;
        case 't': *to++ = '\t'; break;
        case 'r': *to++ = '\r'; break;
        case 'b': *to++ = '\b'; break;
        case 'f': *to++ = '\f'; break;
        case 'u': {
            char digits[5] = {0};
            memcpy(digits, p + 1, 4);
            to = put_utf8(to, (unsigned)strtoul(digits, NULL, 16));
            p += 4;
            break;
        }
        default: *to++ = *p;
        }
    }
    *to = 0;
    return *p ? p + 1 : NULL;
}

static const char *parse(const char *p, json **out);

static const char *parse_list(const char *p, json *self, char end)
{
    json **last = &self->first;
    for (p = space(p + 1); *p != end; p = space(p)) {
        const char *key = NULL;
        if (self->kind == JSON_OBJECT) {
            if (*p != '"' || !(p = parse_text(p, &key)) || *(p = space(p)) != ':')
                return NULL;
            p++;
        }
        if (!(p = parse(space(p), last)))
            return NULL;
        (*last)->key = key;
        last = &(*last)->next;
        p = space(p);
        if (*p == ',')
            p++;
        else if (*p != end)
            return NULL;
    }
    return p + 1;
}

static const char *parse(const char *p, json **out)
{
    json *self = calloc(1, sizeof *self);
    *out = self;
    self->raw = p;
    if (*p == '{' || *p == '[') {
        self->kind = *p == '{' ? JSON_OBJECT : JSON_ARRAY;
        p = parse_list(p, self, *p == '{' ? '}' : ']');
    } else if (*p == '"') {
        self->kind = JSON_TEXT;
        p = parse_text(p, &self->text);
    } else if (!strncmp(p, "null", 4)) {
        p += 4;
    } else if (!strncmp(p, "true", 4) || !strncmp(p, "false", 5)) {
        self->kind = JSON_BOOL;
        self->number = *p == 't';
        p += *p == 't' ? 4 : 5;
    } else {
        char *end;
        self->kind = JSON_NUMBER;
        self->number = (long)strtod(p, &end);
        p = end == p ? NULL : end;
    }
    self->raw_len = p ? (size_t)(p - self->raw) : 0;
    return p;
}

json *json_parse(const char *text)
{
    json *value = NULL;
    return parse(space(text), &value) ? value : NULL;
}

const json *json_get(const json *object, const char *key)
{
    const json *item = object ? object->first : NULL;
    while (item && (!item->key || strcmp(item->key, key)))
        item = item->next;
    return item && item->kind != JSON_NULL ? item : NULL;
}

const char *json_text(const json *object, const char *key)
{
    const json *item = json_get(object, key);
    return item ? item->text : NULL;
}

long json_number(const json *object, const char *key, long otherwise)
{
    const json *item = json_get(object, key);
    return item ? item->number : otherwise;
}

char *json_quote(const char *text)
{
    char *out, *to;
    if (!text)
        return strdup("null");
    out = to = malloc(6 * strlen(text) + 3);
    *to++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            *to++ = '\\';
            *to++ = *text;
        } else if ((unsigned char)*text < 0x20) {
            to += sprintf(to, "\\u%04x", *text);
        } else {
            *to++ = *text;
        }
    }
    *to++ = '"';
    *to = 0;
    return out;
}
