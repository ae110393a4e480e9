/* The rival of bench_link.py: what a plain C program gets out of sendmmsg, recvmmsg, UDP_SEGMENT and UDP_GRO.
 *
 *   link_rival raw-send DESTINATION COUNT      COUNT packets of 1480 bytes, protocol 253, 64 a call
 *   link_rival raw-recv                        prints: packets received, seconds from the first to the last
 *   link_rival udp-send DESTINATION CALLS      CALLS messages of 44 segments of 1472 bytes, port 9000
 *   link_rival udp-recv                        as raw-recv, in segments
 *   link_rival echo                            answers packets of protocol 253
 *   link_rival ping DESTINATION ROUNDS         prints the seconds of one round of 64 bytes
 *
 * Every packet begins with a big-endian sequence number of 32 bits, filled in and checked. A receiver prints "ready"
 * when its socket is open and ends when nothing has come for 200 ms. BENCH_CPU in the environment names the processor
 * to stay on.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { PROTOCOL = 253, BATCH = 64, HEADER = 20, RAW = 1480, SEGMENT = 1472, SEGMENTS = 44, PORT = 9000, IDLE = 200 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int raw_socket(void)
{
    int fd = socket(AF_INET, SOCK_RAW, PROTOCOL);
    int size = 8 << 20;
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    return fd;
}

static struct sockaddr_in address(const char *text, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, text, &to.sin_addr) != 1)
        die(text);
    return to;
}

static int wait_for(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, IDLE) > 0;
}

static int wait_long(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 10000) > 0;
}

static void raw_send(const char *destination, long count)
{
    static unsigned char head[BATCH][HEADER], body[RAW - HEADER];
    struct sockaddr_in to = address(destination, 0);
    struct mmsghdr m[BATCH] = {0};
    struct iovec v[BATCH][2];
    int fd = raw_socket();
    for (int i = 0; i < BATCH; i++) {
        v[i][0] = (struct iovec){head[i], HEADER};
        v[i][1] = (struct iovec){body, sizeof body};
        m[i].msg_hdr = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = v[i], .msg_iovlen = 2};
    }
    for (uint32_t sequence = 0; sequence < count; sequence += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            uint32_t n = htonl(sequence + i);
            memcpy(head[i], &n, 4);
        }
        for (int sent = 0; sent < BATCH;) {
            int n = sendmmsg(fd, m + sent, BATCH - sent, 0);
            if (n < 0)
                die("sendmmsg");
            sent += n;
        }
    }
}

static void raw_recv(void)
{
    static unsigned char slots[BATCH][2048];
    struct mmsghdr m[BATCH] = {0};
    struct sockaddr_in from[BATCH];
    struct iovec v[BATCH];
    long count = 0, gaps = 0;
    uint32_t expected = 0;
    double first = 0, last = 0;
    int fd = raw_socket();
    puts("ready");
    fflush(stdout);
    for (int i = 0; i < BATCH; i++)
        v[i] = (struct iovec){slots[i], sizeof slots[i]};
    wait_long(fd);
    for (;;) {
        for (int i = 0; i < BATCH; i++)
            m[i].msg_hdr = (struct msghdr){
                .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &v[i], .msg_iovlen = 1};
        int n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
        if (n < 0 && errno == EAGAIN) {
            if (!wait_for(fd))
                break;
            continue;
        }
        if (n < 0)
            die("recvmmsg");
        last = now();
        if (!count)
            first = last;
        for (int i = 0; i < n; i++) {
            uint32_t sequence;
            memcpy(&sequence, slots[i] + 20, 4);
            sequence = ntohl(sequence);
            gaps += sequence != expected;
            expected = sequence + 1;
        }
        count += n;
    }
    printf("%ld %.9f %ld\n", count, last - first, gaps);
}

static void udp_send(const char *destination, long calls)
{
    static unsigned char head[SEGMENTS][HEADER], body[SEGMENT - HEADER];
    struct sockaddr_in to = address(destination, PORT);
    struct iovec v[SEGMENTS][2];
    union {
        char buffer[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr header;
    } control = {0};
    struct msghdr m = {.msg_name = &to,
                       .msg_namelen = sizeof to,
                       .msg_iov = v[0],
                       .msg_iovlen = 2 * SEGMENTS,
                       .msg_control = control.buffer,
                       .msg_controllen = sizeof control.buffer};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    uint16_t size = SEGMENT;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(c), &size, sizeof size);
    for (int i = 0; i < SEGMENTS; i++) {
        v[i][0] = (struct iovec){head[i], HEADER};
        v[i][1] = (struct iovec){body, sizeof body};
    }
    for (long call = 0; call < calls; call++) {
        for (int i = 0; i < SEGMENTS; i++) {
            uint32_t n = htonl(call * SEGMENTS + i);
            memcpy(head[i], &n, 4);
        }
        if (sendmsg(fd, &m, 0) < 0)
            die("sendmsg");
    }
}

static void udp_recv(void)
{
    static unsigned char buffer[65536];
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    char control[256];
    long count = 0, gaps = 0;
    uint32_t expected = 0;
    double first = 0, last = 0;
    int one = 1, size = 8 << 20;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one) || bind(fd, (void *)&here, sizeof here))
        die("udp-recv");
    puts("ready");
    fflush(stdout);
    wait_long(fd);
    for (;;) {
        struct iovec v = {buffer, sizeof buffer};
        struct sockaddr_in from;
        struct msghdr m = {.msg_name = &from,
                           .msg_namelen = sizeof from,
                           .msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
        int segment = n;
        if (n < 0 && errno == EAGAIN) {
            if (!wait_for(fd))
                break;
            continue;
        }
        if (n < 0)
            die("recvmsg");
        last = now();
        if (!count)
            first = last;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
            if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
                memcpy(&segment, CMSG_DATA(c), sizeof segment);
        for (ssize_t at = 0; at < n; at += segment) {
            uint32_t sequence;
            memcpy(&sequence, buffer + at, 4);
            sequence = ntohl(sequence);
            gaps += sequence != expected;
            expected = sequence + 1;
            count++;
        }
    }
    printf("%ld %.9f %ld\n", count, last - first, gaps);
}

static void echo(void)
{
    static unsigned char buffer[2048];
    int fd = raw_socket();
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&from, &size);
        if (n < 20)
            die("recvfrom");
        sendto(fd, buffer + 20, n - 20, 0, (void *)&from, size);
    }
}

static void ping(const char *destination, long rounds)
{
    static unsigned char data[64], buffer[2048];
    struct sockaddr_in to = address(destination, 0);
    int fd = raw_socket();
    double begin = now();
    for (long i = 0; i < rounds; i++) {
        if (sendto(fd, data, sizeof data, 0, (void *)&to, sizeof to) < 0)
            die("sendto");
        if (recv(fd, buffer, sizeof buffer, 0) != 20 + sizeof data)
            die("recv");
    }
    printf("%.9f\n", (now() - begin) / rounds);
}

static void stay_on_processor(void)
{
    const char *wanted = getenv("BENCH_CPU");
    cpu_set_t set;
    if (!wanted)
        return;
    CPU_ZERO(&set);
    CPU_SET(atoi(wanted), &set);
    if (sched_setaffinity(0, sizeof set, &set))
        die("sched_setaffinity");
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    stay_on_processor();
    if (argc == 4 && !strcmp(mode, "raw-send"))
        raw_send(argv[2], atol(argv[3]));
    else if (argc == 2 && !strcmp(mode, "raw-recv"))
        raw_recv();
    else if (argc == 4 && !strcmp(mode, "udp-send"))
        udp_send(argv[2], atol(argv[3]));
    else if (argc == 2 && !strcmp(mode, "udp-recv"))
        udp_recv();
    else if (argc == 2 && !strcmp(mode, "echo"))
        echo();
    else if (argc == 4 && !strcmp(mode, "ping"))
        ping(argv[2], atol(argv[3]));
    else {
        fprintf(stderr, "usage: see the top of link_rival.c\n");
        return 2;
    }
    return 0;
}
