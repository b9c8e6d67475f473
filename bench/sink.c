/* sink.c: a far host for measuring. Takes all mail on 127.0.0.1 and counts it; keeps nothing.
 *
 * Usage: sink PORT COUNT [chunking]
 * Offers PIPELINING, SIZE, 8BITMIME, SMTPUTF8, and CHUNKING when asked to. When COUNT recipients have been taken it
 * prints one line of JSON: recipients, messages, octets, connections, distinct return paths, and when the first and
 * the last message were complete. It goes on answering until SIGTERM, when it prints such a line again and ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 1 << 18, REPLIES = 1 << 14, PATHS = 1 << 20 };
enum state { COMMANDS, DATA, CHUNK };

struct peer {
    int socket;
    enum state state;
    size_t filled, replied;
    unsigned long left;         /* octets of the chunk still to come */
    int last, recipients;
    uint64_t path;
    char in[ROOM], out[REPLIES];
};

static unsigned long goal, recipients, messages, octets, connections, distinct;
static double first, latest;
static int chunking;
static uint64_t *seen;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void note_path(uint64_t path) {
    if (path == 0) path = 1;
    for (size_t slot = path % PATHS;; slot = (slot + 1) % PATHS) {
        if (seen[slot] == path) return;
        if (seen[slot] == 0) {
            if (distinct < PATHS / 2) { seen[slot] = path; distinct++; }
            return;
        }
    }
}

static void reply(struct peer *peer, const char *line) {
    size_t length = strlen(line);
    if (peer->replied + length <= REPLIES) {
        memcpy(peer->out + peer->replied, line, length);
        peer->replied += length;
    }
}

static void flush_replies(struct peer *peer) {
    size_t done = 0;
    while (done < peer->replied) {
        ssize_t wrote = send(peer->socket, peer->out + done, peer->replied - done, MSG_NOSIGNAL);
        if (wrote <= 0) break;
        done += (size_t)wrote;
    }
    peer->replied = 0;
}

static void report(void) {
    printf("{\"recipients\": %lu, \"messages\": %lu, \"octets\": %lu, \"connections\": %lu, \"paths\": %lu, "
           "\"first\": %.6f, \"last\": %.6f}\n",
           recipients, messages, octets, connections, distinct, first, latest);
    fflush(stdout);
}

static volatile sig_atomic_t stopped;

static void stop(int number) {
    (void)number;
    stopped = 1;
}

static void taken(struct peer *peer) {
    latest = seconds();
    if (first == 0) first = latest;
    messages++;
    recipients += (unsigned long)peer->recipients;
    note_path(peer->path);
    if (recipients >= goal && recipients - (unsigned long)peer->recipients < goal) report();
    peer->recipients = 0;
    reply(peer, "250 2.0.0 taken\r\n");
}

/* One command line without its line end. Gives 0 when the connection ends. */
static int command(struct peer *peer, char *line) {
    if (!strncasecmp(line, "MAIL", 4)) {
        uint64_t hash = 14695981039346656037u;
        char *start = strchr(line, '<');
        for (char *c = start ? start : line; *c && *c != '>'; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        peer->path = hash;
        peer->recipients = 0;
        reply(peer, "250 2.1.0 ok\r\n");
    } else if (!strncasecmp(line, "RCPT", 4)) {
        peer->recipients++;
        reply(peer, "250 2.1.5 ok\r\n");
    } else if (!strncasecmp(line, "DATA", 4)) {
        peer->state = DATA;
        reply(peer, "354 go\r\n");
    } else if (chunking && !strncasecmp(line, "BDAT", 4)) {
        char *rest = line + 4;
        peer->left = strtoul(rest, &rest, 10);
        peer->last = strcasestr(rest, "LAST") != NULL;
        peer->state = CHUNK;
    } else if (!strncasecmp(line, "EHLO", 4)) {
        reply(peer, "250-sink.invalid\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n");
        if (chunking) reply(peer, "250-CHUNKING\r\n");
        reply(peer, "250 ENHANCEDSTATUSCODES\r\n");
    } else if (!strncasecmp(line, "QUIT", 4)) {
        reply(peer, "221 2.0.0 bye\r\n");
        return 0;
    } else {
        reply(peer, "250 2.0.0 ok\r\n");
    }
    return 1;
}

/* Uses up what lies in the buffer. Gives 0 when the connection ends. */
static int consume(struct peer *peer) {
    size_t at = 0;
    int open = 1;
    while (open) {
        char *start = peer->in + at;
        size_t have = peer->filled - at;
        if (peer->state == CHUNK) {
            size_t piece = have < peer->left ? have : peer->left;
            at += piece;
            octets += piece;
            peer->left -= piece;
            if (peer->left) break;
            peer->state = COMMANDS;
            if (peer->last) taken(peer);
            else reply(peer, "250 2.0.0 chunk\r\n");
        } else if (peer->state == DATA) {
            char *end = memmem(start, have, "\r\n.\r\n", 5);
            if (!end) {
                size_t piece = have > 4 ? have - 4 : 0;
                octets += piece;
                at += piece;
                break;
            }
            octets += (size_t)(end - start) + 2;
            at += (size_t)(end - start) + 5;
            peer->state = COMMANDS;
            taken(peer);
        } else {
            char *end = memchr(start, '\n', have);
            if (!end) break;
            at += (size_t)(end - start) + 1;
            *end = 0;
            if (end > start && end[-1] == '\r') end[-1] = 0;
            open = command(peer, start);
        }
    }
    memmove(peer->in, peer->in + at, peer->filled - at);
    peer->filled -= at;
    return open;
}

static void welcome(int listener, int poll) {
    int one = 1, socket;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        peer->socket = socket;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
        epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event);
        connections++;
        reply(peer, "220 sink.invalid ESMTP\r\n");
        flush_replies(peer);
    }
}

int main(int count, char **words) {
    if (count < 3) return 2;
    goal = strtoul(words[2], NULL, 10);
    chunking = count > 3 && !strcmp(words[3], "chunking");
    seen = calloc(PATHS, sizeof *seen);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1]))};
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&place, sizeof place) || listen(listener, 1024)) {
        perror("sink");
        return 1;
    }
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    struct sigaction ending = {.sa_handler = stop};
    sigaction(SIGTERM, &ending, NULL);
    while (!stopped) {
        int ready = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer) {
                welcome(listener, poll);
                continue;
            }
            ssize_t got = read(peer->socket, peer->in + peer->filled, ROOM - 1 - peer->filled);
            int open = got > 0;
            if (open) {
                peer->filled += (size_t)got;
                open = consume(peer);
                flush_replies(peer);
            }
            if (!open) {
                close(peer->socket);
                free(peer);
            }
        }
    }
    report();
    return 0;
}
