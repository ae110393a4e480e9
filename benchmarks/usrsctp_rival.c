/* The rival of bench_rsp.py in C: one stream of SCTP in user space, on raw IP (protocol 132).
 *
 *   usrsctp_rival serve ADDRESS          takes one connection to its end, prints "ready" before
 *   usrsctp_rival send ADDRESS BYTES     prints the seconds from the first byte to the word that all are there
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <usrsctp.h>

enum { PORT = 5001, WINDOW = 4 << 20, CHUNK = 1 << 16 };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

/* The library leaves its raw sockets with the kernel's small buffers, and has no call to change that. */
static void widen_raw_sockets(void)
{
	for (int fd = 3; fd < 64; fd++) {
		int type, size = 8 << 20;
		socklen_t length = sizeof type;
		if (!getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) && type == SOCK_RAW) {
			setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
			setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
		}
	}
}

static void tune(struct socket *s)
{
	int size = WINDOW, one = 1;
	usrsctp_setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	usrsctp_setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_NODELAY, &one, sizeof one);
}

static ssize_t take(struct socket *s, void *buffer, size_t size)
{
	struct sctp_rcvinfo info;
	struct sockaddr_in from;
	socklen_t info_size = sizeof info, from_size = sizeof from;
	unsigned int type = 0;
	int flags = 0;
	return usrsctp_recvv(s, buffer, size, (struct sockaddr *)&from, &from_size, &info, &info_size, &type, &flags);
}

static ssize_t give(struct socket *s, const void *data, size_t size)
{
	return usrsctp_sendv(s, data, size, NULL, 0, NULL, 0, SCTP_SENDV_NOINFO, 0);
}

static void serve(struct socket *listener, struct sockaddr_in *address)
{
	static char buffer[1 << 20];
	struct socket *s;
	ssize_t count;
	uint64_t total = 0, expected = 0;

	if (usrsctp_bind(listener, (struct sockaddr *)address, sizeof *address) || usrsctp_listen(listener, 1))
		fail("listen");
	puts("ready");
	fflush(stdout);
	if (!(s = usrsctp_accept(listener, NULL, NULL)))
		fail("accept");
	tune(s);
	if (take(s, &expected, sizeof expected) != sizeof expected)
		fail("size");
	while (total < expected && (count = take(s, buffer, sizeof buffer)) > 0)
		total += count;
	give(s, &total, sizeof total);
	usleep(300000);
}

static void send_all(struct socket *s, struct sockaddr_in *address, uint64_t size)
{
	static char data[CHUNK];
	uint64_t done = 0;
	double began;

	if (usrsctp_connect(s, (struct sockaddr *)address, sizeof *address))
		fail("connect");
	began = now();
	give(s, &size, sizeof size);
	for (uint64_t left = size; left; left -= left < CHUNK ? left : CHUNK)
		if (give(s, data, left < CHUNK ? left : CHUNK) < 0)
			fail("send");
	if (take(s, &done, sizeof done) != sizeof done || done != size)
		fail("answer");
	printf("%f\n", now() - began);
	fflush(stdout);
}

int main(int count, char **words)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct socket *s;

	if (count < 3 || inet_pton(AF_INET, words[2], &address.sin_addr) != 1)
		return 2;
	usrsctp_init(0, NULL, NULL);
	usrsctp_sysctl_set_sctp_blackhole(2);
	usrsctp_sysctl_set_sctp_sendspace(WINDOW);
	usrsctp_sysctl_set_sctp_recvspace(WINDOW);
	usrsctp_sysctl_set_sctp_max_chunks_on_queue(16384);
	widen_raw_sockets();
	if (!(s = usrsctp_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL)))
		fail("socket");
	tune(s);
	if (!strcmp(words[1], "serve"))
		serve(s, &address);
	else if (count == 4)
		send_all(s, &address, strtoull(words[3], NULL, 10));
	_exit(0);
}
