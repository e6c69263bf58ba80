/* Just enough JSON for what the runner writes: valid, UTF-8, numbers that fit into a long. */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

typedef struct json {
    enum json_kind kind;
    const char *key;    /* in an object */
    const char *text;   /* JSON_TEXT */
    long number;        /* JSON_NUMBER, JSON_BOOL */
    const char *raw;    /* as it is written */
    size_t raw_len;
    struct json *first; /* of an array or object */
    struct json *next;
} json;

json *json_parse(const char *text);                     /* lives for ever; null: not JSON */
const json *json_get(const json *object, const char *key);
const char *json_text(const json *object, const char *key); /* null: not there, or null */
long json_number(const json *object, const char *key, long otherwise);
char *json_quote(const char *text);                     /* with quotes; null gives null's word; to be freed */

#endif
