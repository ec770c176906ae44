/* Connections that mean nothing, so many a second, one thread, epoll.
 *   garbage -p PORT[,PORT...] -r RATE -s SECONDS
 * Random octets, a TLS hello in clear, line ends and brackets, HTTP, nothing; ended by a reset, by an
 * end, or reset before it is accepted. Prints one JSON line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8000, PATIENCE = 5 };
struct conn { int fd, kind, isreset, issent; double t0; };
static int ports[16], nports, rate = 3000, secs = 600, ep, alive;
static uint64_t opened, failed, closed, greeted, late;
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }

static void finish(struct conn *c, int isreset) {
    struct linger l = { 1, 0 };
    if (isreset) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(c->fd); c->fd = -1; alive--; closed++;
}
static void begin(struct conn *c) {
    struct sockaddr_in src = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f020001u + opened % 200) };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(ports[opened % nports]), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) { failed++; return; }
    setsockopt(c->fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &on, sizeof on);
    bind(c->fd, (void *)&src, sizeof src);
    c->kind = rand() % 6; c->isreset = rand() % 2; c->issent = 0; c->t0 = now();
    opened++; alive++;
    if (connect(c->fd, (void *)&to, sizeof to) && errno != EINPROGRESS) { failed++; finish(c, 1); return; }
    if (c->kind == 5) { finish(c, 1); return; }
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
}
static void speak(struct conn *c) {
    unsigned char b[256]; int n = 0;
    static const unsigned char hello[] = { 0x16, 3, 1, 0, 0xc8, 1, 0, 0, 0xc4, 3, 3 };
    static const char soup[] = "\r\n\r\n\0\0((((((((((({{{{{\r\n\n\r", http[] = "POST / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (n = 0; n < 256; n++) b[n] = rand();
    switch (c->kind) {
    case 0: n = 64 + rand() % 192; break;
    case 1: memcpy(b, hello, sizeof hello); n = 205; break;
    case 2: n = sizeof soup - 1; memcpy(b, soup, n); break;
    case 3: n = sizeof http - 1; memcpy(b, http, n); break;
    default: n = 0;
    }
    if (n && send(c->fd, b, n, MSG_NOSIGNAL) < 0) { finish(c, 1); return; }
    c->issent = 1;
    if (c->isreset) { finish(c, 1); return; }
    shutdown(c->fd, SHUT_WR);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
static void on_event(struct conn *c, uint32_t ev) {
    char b[4096]; ssize_t n;
    if (ev & EPOLLERR) { finish(c, 1); return; }
    if (!c->issent && (ev & EPOLLOUT)) { speak(c); return; }
    while ((n = recv(c->fd, b, sizeof b, 0)) > 0) greeted++;
    if (n == 0 || errno != EAGAIN) finish(c, 0);
}
int main(int argc, char **argv) {
    int o; char *s;
    while ((o = getopt(argc, argv, "p:r:s:")) != -1) switch (o) {
        case 'p': for (s = strtok(optarg, ","); s && nports < 16; s = strtok(NULL, ",")) ports[nports++] = atoi(s); break;
        case 'r': rate = atoi(optarg); break; case 's': secs = atoi(optarg); break; default: return 2; }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
    ep = epoll_create1(0);
    static struct conn cs[MOST]; for (int i = 0; i < MOST; i++) cs[i].fd = -1;
    struct epoll_event ev[512]; double T0 = now(), swept = T0; int next = 0, most = 0;
    if (!nports) return 2;
    while (now() - T0 < secs) {
        /* Who is behind does not send all that is due at once. */
        uint64_t due = (now() - T0) * rate; int burst = 0;
        while (opened + late < due && burst++ < 64 && alive < MOST) {
            while (cs[next].fd >= 0) next = (next + 1) % MOST;
            begin(&cs[next]); next = (next + 1) % MOST;
        }
        if (opened + late + rate < due) late = due - opened - rate;
        if (alive > most) most = alive;
        int n = epoll_wait(ep, ev, 512, 1);
        for (int i = 0; i < n; i++) { struct conn *c = ev[i].data.ptr; if (c->fd >= 0) on_event(c, ev[i].events); }
        if (now() - swept > 1) { swept = now(); for (int i = 0; i < MOST; i++) if (cs[i].fd >= 0 && swept - cs[i].t0 > PATIENCE) finish(&cs[i], 1); }
    }
    printf("{\"done\":%llu,\"errors\":0,\"per_s\":%.0f,\"failed\":%llu,\"most_open\":%d,\"heard\":%llu}\n", (unsigned long long)opened,
        opened / (now() - T0), (unsigned long long)failed, most, (unsigned long long)greeted);
    return 0;
}
