/* The demo service in C: a threaded HTTP/1.1 server with keep-alive, and a shutdown that loses nothing.
 *
 * GET and POST /work take about 20 ms; GET /readyz turns 503 with the signal, while /work is served on; from `drain` on every
 * answer says `Connection: close` and new work gets 503. Try it:
 *
 *     cc -pthread service.c -o service $(pkg-config --cflags --libs graceshut)
 *     graceshut verify --ready http://127.0.0.1:8080/readyz --load http://127.0.0.1:8080/work -- ./service
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <graceshut.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 8192, LOOK_MS = 100, IDLE_MS = 60000 };

static graceshut_page *work; /* what is in flight, and the word that says when to refuse */
static int listener = -1;
static int connections;    /* open ones */
static int accepting = 1;  /* the acceptor runs */
static int last_call;      /* the acceptor is to end */
static int closing;        /* idle connections are to end */
static int came;           /* a client came with work, since it was asked last */

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int get(int *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static void set(int *word, int value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }

static void trace(const char *what)
{
    printf("trace %s\n", what);
    fflush(stdout);
}

/* ---- HTTP ---- */

struct request {
    char head[HEAD + 1]; /* the head, then whatever came behind it */
    size_t used;         /* bytes in `head` */
    size_t length;       /* of the head itself */
    size_t body;         /* bytes of body still to be read */
    int keep_alive;
};

static const char *header(const struct request *r, const char *name)
{
    const char *line = strstr(r->head, "\r\n");
    size_t n = strlen(name);
    for (; line != NULL && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
            return line + 3 + n + strspn(line + 3 + n, " \t");
    return NULL;
}

/* Waits for bytes; 0 when there will be none: the peer is gone, or the connection is idle and is to end. */
static int readable(int fd, int idle)
{
    struct pollfd p = {fd, POLLIN, 0};
    long long until = now_ms() + IDLE_MS;
    while (now_ms() < until) {
        int n = poll(&p, 1, idle ? LOOK_MS : 1000);
        if (n > 0)
            return 1;
        if (n < 0 && errno != EINTR)
            return 0;
        if (n == 0 && idle && get(&closing))
            return 0;
    }
    return 0;
}

/* Reads one request's head; 0 when there is none any more. */
static int read_head(int fd, struct request *r)
{
    const char *end, *value;
    r->head[r->used] = 0;
    while ((end = strstr(r->head, "\r\n\r\n")) == NULL) {
        ssize_t n;
        if (r->used == HEAD || !readable(fd, r->used == 0))
            return 0;
        n = recv(fd, r->head + r->used, HEAD - r->used, 0);
        if (n <= 0)
            return 0;
        r->used += (size_t)n;
        r->head[r->used] = 0;
    }
    r->length = (size_t)(end - r->head) + 4;
    value = header(r, "Content-Length");
    r->body = value ? strtoul(value, NULL, 10) : 0;
    value = header(r, "Connection");
    r->keep_alive = strstr(r->head, " HTTP/1.1\r\n") != NULL && !(value && strncasecmp(value, "close", 5) == 0);
    return 1;
}

/* Reads the body away, and keeps what came behind it. */
static int skip_body(int fd, struct request *r)
{
    char junk[4096];
    size_t here = r->used - r->length, taken = here < r->body ? here : r->body;
    memmove(r->head, r->head + r->length + taken, here - taken);
    r->used = here - taken;
    for (r->body -= taken; r->body > 0;) {
        ssize_t n;
        if (!readable(fd, 0))
            return 0;
        n = recv(fd, junk, r->body < sizeof junk ? r->body : sizeof junk, 0);
        if (n <= 0)
            return 0;
        r->body -= (size_t)n;
    }
    return 1;
}

/* Answers; 1 when the connection goes on. */
static int answer(int fd, int keep_alive, const char *status, const char *body)
{
    char text[512];
    int n, sent = 0;
    keep_alive = keep_alive && !graceshut_draining(work);
    n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                 strlen(body), keep_alive ? "" : "Connection: close\r\n", body);
    while (sent < n) {
        ssize_t k = send(fd, text + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (k < 0 && errno != EINTR)
            return 0;
        sent += k > 0 ? (int)k : 0;
    }
    return keep_alive;
}

static int serve(int fd, struct request *r)
{
    char path[64];
    struct timespec t = {0, 20 * 1000000};
    int on;
    if (!read_head(fd, r))
        return 0;
    if (sscanf(r->head, "%*7[A-Z] %63s", path) != 1)
        return answer(fd, 0, "400 Bad Request", "what?\n");
    if (!skip_body(fd, r))
        return 0;
    if (strcmp(path, "/readyz") == 0)
        return graceshut_stopping(work) ? answer(fd, r->keep_alive, "503 Service Unavailable", "stopping\n")
                                        : answer(fd, r->keep_alive, "200 OK", "ready\n");
    if (strcmp(path, "/work") != 0)
        return answer(fd, r->keep_alive, "404 Not Found", "not here\n");
    set(&came, 1);
    if (!graceshut_enter(work))
        return answer(fd, 0, "503 Service Unavailable", "draining\n");
    nanosleep(&t, NULL);
    on = answer(fd, r->keep_alive, "200 OK", "done\n");
    graceshut_leave(work); /* the unit of work ends when its answer is written */
    return on;
}

static void *connection(void *data)
{
    int fd = (int)(long)data;
    char junk[256];
    struct request *r = calloc(1, sizeof *r);
    struct pollfd p = {fd, POLLIN, 0};
    while (r != NULL && serve(fd, r))
        ;
    free(r);
    /* The end, then whatever the peer still says: closing over unread bytes would reset what it has not read yet. */
    shutdown(fd, SHUT_WR);
    while (poll(&p, 1, 500) > 0 && recv(fd, junk, sizeof junk, 0) > 0)
        ;
    close(fd);
    __atomic_sub_fetch(&connections, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* ---- Accepting ---- */

static void *acceptor(void *data)
{
    struct pollfd p = {listener, POLLIN, 0};
    pthread_attr_t small;
    (void)data;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    while (!get(&last_call)) {
        pthread_t t;
        int one = 1, fd;
        if (poll(&p, 1, 10) <= 0)
            continue;
        fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        __atomic_add_fetch(&connections, 1, __ATOMIC_SEQ_CST);
        if (pthread_create(&t, &small, connection, (void *)(long)fd) != 0) {
            close(fd);
            __atomic_sub_fetch(&connections, 1, __ATOMIC_SEQ_CST);
        }
    }
    close(listener);
    set(&accepting, 0);
    return NULL;
}

static int listen_on(int port)
{
    struct sockaddr_in a;
    int one = 1;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons((unsigned short)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 256) != 0;
}

/* ---- Hooks ---- */

static int said(graceshut_ctx *ctx, void *data)
{
    char line[128];
    (void)data;
    snprintf(line, sizeof line, "%s/%s", graceshut_ctx_phase(ctx), graceshut_ctx_name(ctx));
    trace(line);
    return 0;
}

/* Answers 503 until the listener can be closed without cutting anybody off, then ends the connections that sit idle. */
static int server(graceshut_ctx *ctx, void *data)
{
    graceshut_linger *linger = graceshut_linger_new(graceshut_ctx_remaining_us(ctx), 0);
    uint32_t seen;
    (void)data;
    do
        seen = (__atomic_exchange_n(&came, 0, __ATOMIC_SEQ_CST) ? GRACESHUT_CAME : 0) | (get(&connections) ? GRACESHUT_BUSY : 0);
    while (!graceshut_linger_step(linger, seen, &listener, 1) && !graceshut_ctx_wait_cancelled(ctx, 10000));
    graceshut_linger_free(linger);
    set(&last_call, 1);
    while (get(&accepting) && !graceshut_ctx_wait_cancelled(ctx, 5000))
        ;
    set(&closing, 1);
    while (get(&connections) > 0 && !graceshut_ctx_wait_cancelled(ctx, 5000))
        ;
    return get(&connections) > 0 ? GRACESHUT_CANCELLED : said(ctx, NULL);
}

static void *write_buffers(void *data)
{
    struct timespec t = {0, 10 * 1000000};
    graceshut_completion *completion = data;
    nanosleep(&t, NULL);
    said(graceshut_completion_context(completion), NULL);
    graceshut_completion_finish(completion, 0, NULL);
    return NULL;
}

/* Begins the writing and returns: a hook that completes later. */
static void buffers(graceshut_completion *completion, void *data)
{
    pthread_t t;
    (void)data;
    if (pthread_create(&t, NULL, write_buffers, completion) != 0)
        graceshut_completion_finish(completion, 1, "no thread to write buffers on");
    else
        pthread_detach(t);
}

int main(void)
{
    graceshut_options options = GRACESHUT_OPTIONS_INIT;
    const char *port = getenv("PORT");
    graceshut_t *gs;
    pthread_t t;
    int code = 1;

    options.grace_us = 10 * 1000000;
    options.flags = GRACESHUT_SERVING;
    if (graceshut_install(&options, &gs) != GRACESHUT_OK) {
        fprintf(stderr, "%s\n", graceshut_last_error());
        return 1;
    }
    work = graceshut_inflight_page(NULL);
    graceshut_hook(gs, "announce", "deregister", said, NULL, NULL, NULL, NULL);
    graceshut_hook(gs, "drain", "server", server, NULL, NULL, NULL, NULL);
    graceshut_hook_start(gs, "flush", "buffers", buffers, NULL, NULL, NULL, NULL);
    graceshut_hook(gs, "flush", "offsets", said, NULL, NULL, NULL, NULL);
    graceshut_hook(gs, "close", "pool", said, NULL, NULL, NULL, NULL);
    graceshut_hook(gs, "close", "files", said, NULL, NULL, NULL, NULL);
    graceshut_hook(gs, "final", "telemetry", said, NULL, NULL, NULL, NULL);

    if (listen_on(port ? atoi(port) : 8080) != 0) {
        perror("listen");
        return 1;
    }
    if (pthread_create(&t, NULL, acceptor, NULL) != 0)
        return 1;
    puts("ready");
    fflush(stdout);
    graceshut_wait(gs, GRACESHUT_FOREVER, &code);
    return code;
}
