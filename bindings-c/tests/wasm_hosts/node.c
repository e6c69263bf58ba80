// The same for Node: `require("./play.node")(folder, path)`.
#include <node_api.h>

int play(const char *folder, const char *path);

static napi_value call(napi_env env, napi_callback_info info)
{
    napi_value args[2], result;
    size_t count = 2, length;
    char folder[512], path[512];

    napi_get_cb_info(env, info, &count, args, NULL, NULL);
    napi_get_value_string_utf8(env, args[0], folder, sizeof folder, &length);
    napi_get_value_string_utf8(env, args[1], path, sizeof path, &length);
    napi_create_int32(env, play(folder, path), &result);
    return result;
}

NAPI_MODULE_INIT()
{
    napi_value function;
    (void)exports;
    napi_create_function(env, "play", NAPI_AUTO_LENGTH, call, NULL, &function);
    return function;
}
