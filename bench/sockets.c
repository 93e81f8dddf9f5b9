/* Sockets by the thousand: the floor of fan-out, and the reader that it shares with a gateway.

   sockets read HOST PORT COUNT OPENINGS FIRST
     Connects COUNT sockets, numbered from FIRST, SOURCE_PORTS from each of 127.0.0.1, 127.0.0.2, ..., and writes to each its opening, the
     next line of the file OPENINGS with "\r\n" for each byte 1. Prints "open" once each has been
     sent a frame with the word "watching". From then on each byte MARK in the payload of a frame is a
     delivery: for every COUNT of them it prints when the first and the last of them came, in
     seconds of the monotonic clock. Pings are answered.
   sockets send PORT COUNT BYTES
     Takes COUNT connections, writes "watching" to each and prints "open". For each line of its input, a number of
     messages, it writes them as frames of BYTES bytes, each to all sockets with a `send` of its own, and
     prints when it began and when it was done.
*/

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOURCE_PORTS = 20000, AT_ONCE = 100, EVENTS = 512, SOCKETS = 1 << 17, MARK = '~' };

/* Where an open socket stands in its frames: bytes of a header so far, bytes of a payload left. */
struct place {
  unsigned char header[10], size, open;
  uint64_t left;
};

static const char watching[] = "watching";
static const char pong[] = "\x8a\x80\0\0\0\0";
static char buffer[1 << 18];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct sockaddr_in address(const char *host, int port) {
  struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, host, &result.sin_addr) != 1) fail("address");
  return result;
}

static void write_all(int socket, const char *data, size_t size) {
  while (size) {
    ssize_t written = send(socket, data, size, MSG_NOSIGNAL);
    if (written < 0) fail("send");
    data += written;
    size -= (size_t)written;
  }
}

static int connect_from(int number, struct sockaddr_in *peer) {
  int result = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  char host[32];
  snprintf(host, sizeof host, "127.0.0.%d", 1 + number / SOURCE_PORTS);
  struct sockaddr_in source = address(host, 0);
  setsockopt(result, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(result, (struct sockaddr *)&source, sizeof source)) fail("bind");
  if (connect(result, (struct sockaddr *)peer, sizeof *peer)) fail("connect");
  setsockopt(result, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return result;
}

static void open_one(int poll, int number, struct sockaddr_in *peer, FILE *openings) {
  static char *line;
  static size_t room;
  ssize_t size = getline(&line, &room, openings);
  if (size < 0) fail("openings");
  static char opening[1 << 16];
  size_t length = 0;
  for (ssize_t at = 0; at < size - 1; at++) {
    if (line[at] == 1) opening[length++] = '\r', opening[length++] = '\n';
    else opening[length++] = line[at];
  }
  int socket = connect_from(number, peer);
  write_all(socket, opening, length);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)socket};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event)) fail("epoll_ctl");
}

static long marks(const char *data, size_t size) {
  long found = 0;
  for (size_t at = 0; at < size; at++) found += data[at] == MARK;
  return found;
}

static int header_ends(struct place *place) {
  unsigned length = place->size < 2 ? 0 : place->header[1];
  int extra = length == 126 ? 2 : length == 127 ? 8 : 0;
  if (place->size < 2 || place->size < 2 + extra) return 0;
  place->left = extra ? 0 : length;
  for (int at = 2; at < 2 + extra; at++) place->left = place->left << 8 | place->header[at];
  return 1;
}

/* Take what a socket has received: returns the marks in it. */
static long take(int socket, struct place *place, const char *data, size_t size) {
  long found = 0;
  while (size) {
    if (place->left) {
      size_t part = size < place->left ? size : place->left;
      found += marks(data, part);
      data += part, size -= part, place->left -= part;
      continue;
    }
    place->header[place->size++] = (unsigned char)*data++;
    size--;
    if (!header_ends(place)) continue;
    place->size = 0;
    if (place->header[0] == 0x89) write_all(socket, pong, 6);
  }
  return found;
}

static void run_reader(const char *host, int port, long count, const char *path, long begin) {
  struct sockaddr_in peer = address(host, port);
  FILE *openings = fopen(path, "r");
  int poll = epoll_create1(0);
  if (!openings) fail(path);
  struct epoll_event events[EVENTS];
  static struct place places[SOCKETS];
  long connected = 0, open = 0, delivered = 0;
  double first = 0;
  for (;;) {
    while (connected < count && connected < open + AT_ONCE)
      open_one(poll, (int)(begin + connected++), &peer, openings);
    int ready = epoll_wait(poll, events, EVENTS, -1);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int number = 0; number < ready; number++) {
      int socket = (int)events[number].data.u64;
      ssize_t size = recv(socket, buffer, sizeof buffer, 0);
      if (size <= 0) {
        fprintf(stderr, "a socket has ended\n");
        exit(1);
      }
      struct place *place = &places[socket];
      if (!place->open) {
        place->open = memmem(buffer, (size_t)size, watching, sizeof watching - 1) != NULL;
        open += place->open;
        if (place->open && open == count) puts("open"), fflush(stdout);
      } else {
        long more = take(socket, place, buffer, (size_t)size);
        if (more && delivered % count == 0) first = now();
        long before = delivered / count;
        delivered += more;
        if (delivered / count > before) {
          printf("%ld %.9f %.9f\n", delivered / count, first, now());
          fflush(stdout);
        }
      }
    }
  }
}

static void run_sender(int port, int count, size_t size) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  struct sockaddr_in here = address("127.0.0.1", port);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 4096)) fail("listen");
  int *sockets = calloc((size_t)count, sizeof *sockets);
  for (int number = 0; number < count; number++) {
    sockets[number] = accept(listener, NULL, NULL);
    if (sockets[number] < 0) fail("accept");
    setsockopt(sockets[number], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    write_all(sockets[number], watching, sizeof watching - 1);
  }
  puts("open"), fflush(stdout);
  char *message = malloc(size);
  memset(message, '.', size);
  message[0] = (char)0x81, message[1] = 126;
  message[2] = (char)((size - 4) >> 8), message[3] = (char)((size - 4) & 0xff);
  message[size - 1] = MARK;
  for (long messages; scanf("%ld", &messages) == 1;) {
    double begin = now();
    while (messages--)
      for (int number = 0; number < count; number++) write_all(sockets[number], message, size);
    printf("%.9f %.9f\n", begin, now());
    fflush(stdout);
  }
}

int main(int count, char **words) {
  if (count == 7 && !strcmp(words[1], "read"))
    run_reader(words[2], atoi(words[3]), atol(words[4]), words[5], atol(words[6]));
  else if (count == 5 && !strcmp(words[1], "send"))
    run_sender(atoi(words[2]), atoi(words[3]), (size_t)atol(words[4]));
  else
    fprintf(stderr, "sockets read HOST PORT COUNT OPENINGS FIRST | sockets send PORT COUNT BYTES\n");
  return 1;
}
