/* The receive of many a C server: the size given to recv() is not that of the buffer. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int ends[2];
    char message[64] = {0};
    char *buffer = malloc(8);
    size_t size = (size_t) atoi(argv[argc - 1]);

    if (buffer == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 2;
    if (write(ends[0], message, sizeof message) != sizeof message) return 2;
    ssize_t received = recv(ends[1], buffer, size, 0);
    printf("received %zd bytes into a buffer of 8\n", received);
    free(buffer);
    return 0;
}
