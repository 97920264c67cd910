/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The part of systemd that holds a service's sockets (sd_listen_fds(3)), for tests: hold_socket PROGRAM ARGUMENTS...
 * Two sockets on free ports, the second one named admin; prints the ports, and for each line on stdin
 * starts the program with them, prints "pid N", waits for its end and prints "exit N". */

#define FIRST_FD 3

static int
make_socket(int *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 511) != 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) != 0)
		abort();
	*port = ntohs(at.sin_port);
	return fd;
}

static void
run(const int sockets[2], char **argv)
{
	char pid[32];
	/* Out of the way first: one of them may have the number that the other one gets. */
	int a = dup2(sockets[0], 100), b = dup2(sockets[1], 101);
	if (dup2(a, FIRST_FD) < 0 || dup2(b, FIRST_FD + 1) < 0)
		abort();
	close(a);
	close(b);
	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "hooklog.socket:admin", 1);
	execv(argv[0], argv);
	abort();
}

int
main(int argc, char **argv)
{
	int ports[2], status = 0;
	char line[64];
	if (argc < 2)
		return 2;
	const int sockets[2] = { make_socket(&ports[0]), make_socket(&ports[1]) };
	printf("%d %d\n", ports[0], ports[1]);
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL) {
		pid_t pid = fork();
		if (pid == 0)
			run(sockets, argv + 1);
		printf("pid %ld\n", (long)pid);
		fflush(stdout);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 1;
		printf("exit %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
		fflush(stdout);
	}
	return 0;
}
