/* A server's listener is closed without cutting anybody off (spec 9.4): what the functions say to a real socket. */
#include "common.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct sockaddr_in at;

static int listen_somewhere(void)
{
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    return fd;
}

/* The number of steps until it says "close", about 10 ms each. */
static int steps(graceshut_linger *linger, int listener, uint32_t seen)
{
    int n = 0;
    alarm(LIMIT_S);
    while (graceshut_linger_step(linger, seen, &listener, 1) == 0) {
        usleep(10000);
        n++;
    }
    CHECK(graceshut_linger_step(linger, seen, &listener, 1) == 1);
    graceshut_linger_free(linger);
    return n;
}

/* 150 ms of quiet and 50 with an empty queue; with somebody to be answered all the time, a third of 600 ms. A step may come late
 * on a busy machine, so there are no more of them than that. */
static int quiet(void)
{
    int fd = listen_somewhere(), n;
    n = steps(graceshut_linger_new(GRACESHUT_FOREVER, 0), fd, 0);
    CHECK(n >= 1 && n <= 21);
    n = steps(graceshut_linger_new(600000, 0), fd, GRACESHUT_BUSY);
    CHECK(n >= 1 && n <= 26);
    n = steps(graceshut_linger_new(0, GRACESHUT_ALL_HOLDERS_STOP), fd, GRACESHUT_CAME | GRACESHUT_BUSY);
    CHECK(n == 0);
    say("ok");
    return 0;
}

/* Who waits in the queue is waited for. */
static int queue(void)
{
    int fd = listen_somewhere(), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server, i;
    graceshut_linger *linger = graceshut_linger_new(GRACESHUT_FOREVER, 0);
    alarm(LIMIT_S);
    CHECK(connect(client, (struct sockaddr *)&at, sizeof at) == 0);
    for (i = 0; i < 40; i++) {
        CHECK(graceshut_linger_step(linger, 0, &fd, 1) == 0);
        usleep(10000);
    }
    server = accept(fd, NULL, NULL);
    CHECK(server >= 0);
    CHECK(steps(linger, fd, 0) <= 21);
    close(server), close(client), close(fd);
    say("ok");
    return 0;
}

static int bad(void)
{
    int odd[] = {-1, 9999, 0}, found[2] = {-1, -1}, fd = listen_somewhere();
    graceshut_linger *linger = graceshut_linger_new(0, 0);
    CHECK(graceshut_linger_new(-5, 0) == NULL);
    CHECK(graceshut_linger_new(0, 2) == NULL);
    SAYS("GRACESHUT_ALL_HOLDERS_STOP");
    CHECK(graceshut_linger_step(NULL, 0, NULL, 0) == 1);
    SAYS("linger");
    CHECK(graceshut_linger_step(linger, 0, NULL, 1) == 1);
    SAYS("listeners");
    CHECK(graceshut_linger_step(linger, 0, odd, 3) == 1);
    graceshut_linger_free(linger);
    graceshut_linger_free(NULL);
    CHECK(graceshut_listeners(ntohs(at.sin_port), found, 2) == 1 && found[0] == fd && found[1] == -1);
    CHECK(graceshut_listeners(ntohs(at.sin_port), NULL, 0) == 1);
    CHECK(graceshut_listeners(ntohs(at.sin_port), NULL, 1) == 0);
    SAYS("listeners");
    say("ok");
    return 0;
}

int main(int argc, char **argv)
{
    static const struct scenario list[] = {{"quiet", quiet}, {"queue", queue}, {"bad", bad}, {NULL, NULL}};
    return run_scenario(list, argc, argv);
}
