/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/fs.h"
#include "pg/cluster.h"
#include "pg/pg.h"

struct cluster {
	char dir[PATH_MAX];
	char bin[PATH_MAX];
	bool as_user; /* we are root: run the server as uid and gid */
	uid_t uid;
	gid_t gid;
	pid_t pid; /* of the server, 0 when it does not run */
};

/* Long paths are refused once, before anything is made. */
#define SUBPATH_BYTES (PATH_MAX + 32)

static bool
has_server(const char *bin)
{
	char path[SUBPATH_BYTES];
	snprintf(path, sizeof path, "%s/initdb", bin);
	return access(path, X_OK) == 0;
}

/* The folder ./configure found, else the newest one of Debian's layout: the package may have been
 * upgraded since the build. */
static enum rc
find_bin(struct cluster *c, struct err *e)
{
	snprintf(c->bin, sizeof c->bin, "%s", HOOKLOG_POSTGRES_BIN);
	if (has_server(c->bin))
		return RC_OK;
	for (int version = 40; version >= 13; version--) {
		snprintf(c->bin, sizeof c->bin, "/usr/lib/postgresql/%d/bin", version);
		if (has_server(c->bin))
			return RC_OK;
	}
	return err_set(e, RC_NOTFOUND, "postgres.cluster",
		"PostgreSQL's server programs (initdb, postgres) are not installed; install the package "
		"postgresql, or name a database with postgres.url, DATABASE_URL or PGHOST");
}

static enum rc
find_user(struct cluster *c, struct err *e)
{
	if (geteuid() != 0)
		return RC_OK;
	const struct passwd *pw = getpwnam("postgres");
	if (pw == NULL)
		pw = getpwnam("nobody");
	if (pw == NULL)
		return err_set(e, RC_NOTFOUND, "postgres.cluster",
			"running as root, but there is no user postgres or nobody to run PostgreSQL as; "
			"start hooklog as an ordinary user");
	c->as_user = true;
	c->uid = pw->pw_uid;
	c->gid = pw->pw_gid;
	return RC_OK;
}

/* In a forked child: becomes the server's user, in its own session so that Ctrl-C reaches only us. */
static void
become_user(const struct cluster *c)
{
	setsid();
	if (c->as_user && (setgroups(0, NULL) != 0 || setgid(c->gid) != 0 || setuid(c->uid) != 0))
		_exit(126);
	if (chdir("/") != 0)
		_exit(126);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* Whatever we had open, the log's files above all, is none of the child's. */
	if (close_range(STDERR_FILENO + 1, ~0U, 0) != 0) {
		for (int fd = STDERR_FILENO + 1; fd < 4096; fd++)
			close(fd);
	}
}

/* Runs a program to its end; its talk goes to server.log. True when it exited with 0. */
static bool
run_program(const struct cluster *c, const char *const *argv)
{
	char log[SUBPATH_BYTES];
	snprintf(log, sizeof log, "%s/server.log", c->dir);
	pid_t pid = fork();
	if (pid < 0)
		return false;
	if (pid == 0) {
		become_user(c);
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(126);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whether the server's user can work in the folder: a parent may be closed to it. */
static bool
reachable(const struct cluster *c)
{
	pid_t pid = fork();
	if (pid < 0)
		return true; /* starting it will tell */
	if (pid == 0) {
		become_user(c);
		_exit(access(c->dir, R_OK | W_OK | X_OK) == 0 ? 0 : 1);
	}
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static enum rc
make_folder(const struct cluster *c, const char *path, struct err *e)
{
	enum rc rc = fs_mkdir(path, e);
	if (rc == RC_OK && c->as_user && chown(path, c->uid, c->gid) != 0)
		rc = err_sys(e, RC_IO, "data-dir.unwritable", errno, "give %s to PostgreSQL's user", path);
	return rc;
}

static enum rc
make_folders(const struct cluster *c, struct err *e)
{
	char path[SUBPATH_BYTES];
	enum rc rc = make_folder(c, c->dir, e);
	if (rc != RC_OK)
		return rc;
	if (c->as_user) {
		/* The data folder is 0700 of root; its user must be able to pass through to its own. */
		snprintf(path, sizeof path, "%s/..", c->dir);
		struct stat st;
		if (stat(path, &st) == 0 && st.st_uid == 0 && (st.st_mode & 07777) == 0700 &&
			chmod(path, 0711) != 0)
			return err_sys(e, RC_IO, "data-dir.unwritable", errno, "change mode of %s", path);
	}
	if (!reachable(c))
		return err_set(e, RC_INVALID, "postgres.cluster",
			"the user PostgreSQL runs as cannot reach %s; choose a data folder outside a private "
			"home, for example --data /var/lib/hooklog, or start hooklog as an ordinary user",
			c->dir);
	snprintf(path, sizeof path, "%s/run", c->dir);
	return make_folder(c, path, e);
}

static enum rc
failed_to(const struct cluster *c, const char *what, struct err *e)
{
	char path[SUBPATH_BYTES];
	snprintf(path, sizeof path, "%s/server.log", c->dir);
	char tail[400] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		off_t end = lseek(fd, 0, SEEK_END);
		off_t from = end > (off_t)sizeof tail - 1 ? end - (off_t)sizeof tail + 1 : 0;
		ssize_t n = pread(fd, tail, sizeof tail - 1, from);
		tail[n < 0 ? 0 : n] = '\0';
		close(fd);
	}
	for (char *p = tail; *p != '\0'; p++) {
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	}
	return err_set(e, RC_IO, "postgres.cluster", "PostgreSQL did not %s; %s ends with: %s", what, path,
		tail);
}

/* initdb works in a folder of another name that is renamed when complete, so that being killed half way
 * leaves nothing that looks like a cluster. */
static enum rc
init_cluster(const struct cluster *c, struct err *e)
{
	char data[SUBPATH_BYTES], fresh[SUBPATH_BYTES], version[SUBPATH_BYTES + 16],
		initdb[SUBPATH_BYTES];
	snprintf(data, sizeof data, "%s/data", c->dir);
	snprintf(fresh, sizeof fresh, "%s/data.new", c->dir);
	snprintf(version, sizeof version, "%s/PG_VERSION", data);
	snprintf(initdb, sizeof initdb, "%s/initdb", c->bin);
	if (fs_exists(version))
		return RC_OK;
	const char *const clean[] = { "/bin/rm", "-rf", fresh, NULL };
	const char *const make[] = { initdb, "-D", fresh, "-U", "hooklog", "-A", "trust", "-E", "UTF8",
		"--locale=C", "--data-checksums", "--no-instructions", NULL };
	if (!run_program(c, clean) || !run_program(c, make))
		return failed_to(c, "make its cluster", e);
	if (rename(fresh, data) != 0)
		return err_sys(e, RC_IO, "postgres.cluster", errno, "rename %s", fresh);
	return fs_sync_dir(c->dir, e);
}

/* Whether the process works in the cluster's data folder, as its server and all its children do. */
static bool
works_in(const char *pid, const struct stat *data)
{
	char cwd[64];
	struct stat st;
	snprintf(cwd, sizeof cwd, "/proc/%.20s/cwd", pid);
	return stat(cwd, &st) == 0 && st.st_dev == data->st_dev && st.st_ino == data->st_ino;
}

/* The server that owns the data folder by its postmaster.pid, or 0. After a crash the number in the file
 * may belong to anything by now, even to the server of another folder. */
static pid_t
left_behind(const struct cluster *c, const struct stat *data)
{
	char path[SUBPATH_BYTES], pid[24];
	struct arena *a = arena_new(4096);
	struct bytes text;
	long value = 0;
	snprintf(path, sizeof path, "%s/data/postmaster.pid", c->dir);
	if (fs_read(path, 4096, a, &text, NULL) == RC_OK)
		value = strtol((const char *)text.data, NULL, 10);
	arena_free(a);
	snprintf(pid, sizeof pid, "%ld", value);
	return value > 1 && works_in(pid, data) ? (pid_t)value : 0;
}

static bool
anybody_works_in(const struct stat *data)
{
	DIR *proc = opendir("/proc");
	bool found = false;
	for (const struct dirent *entry; proc != NULL && !found && (entry = readdir(proc)) != NULL;)
		found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && works_in(entry->d_name, data);
	if (proc != NULL)
		closedir(proc);
	return found;
}

/* Ends what a killed predecessor left: a server, or children of a killed server, which end by themselves
 * but would keep a new one from starting. When nobody works in the folder any more its lock files are
 * removed: PostgreSQL would respect them for ever if their number lives on as a zombie or a stranger. */
static enum rc
end_predecessor(const struct cluster *c, struct err *e)
{
	char path[SUBPATH_BYTES];
	struct stat data;
	snprintf(path, sizeof path, "%s/data", c->dir);
	if (stat(path, &data) != 0)
		return err_sys(e, RC_IO, "postgres.cluster", errno, "look at %s", path);
	pid_t old = left_behind(c, &data);
	if (old != 0)
		kill(old, SIGINT);
	int64_t deadline_ms = clock_monotonic_ms() + 30000;
	while (anybody_works_in(&data)) {
		if (clock_monotonic_ms() > deadline_ms)
			return err_set(e, RC_AGAIN, "postgres.cluster",
				"another PostgreSQL (pid %ld) uses %s and does not end; stop it first",
				(long)old, c->dir);
		clock_sleep_ms(20);
	}
	static const char *const locks[] = { "data/postmaster.pid", "run/.s.PGSQL.5432.lock" };
	for (size_t i = 0; i < COUNT_OF(locks); i++) {
		snprintf(path, sizeof path, "%s/%s", c->dir, locks[i]);
		if (unlink(path) != 0 && errno != ENOENT)
			return err_sys(e, RC_IO, "postgres.cluster", errno, "remove %s", path);
	}
	return RC_OK;
}

static bool
wait_gone(pid_t pid, int64_t timeout_ms)
{
	int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	while (clock_monotonic_ms() < deadline_ms) {
		waitpid(pid, NULL, WNOHANG);
		if (kill(pid, 0) != 0)
			return true;
		clock_sleep_ms(20);
	}
	return false;
}

static enum rc
launch(struct cluster *c, struct err *e)
{
	char data[SUBPATH_BYTES], run[SUBPATH_BYTES], log[SUBPATH_BYTES], server[SUBPATH_BYTES];
	snprintf(data, sizeof data, "%s/data", c->dir);
	snprintf(run, sizeof run, "%s/run", c->dir);
	snprintf(log, sizeof log, "%s/server.log", c->dir);
	snprintf(server, sizeof server, "%s/postgres", c->bin);
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, RC_IO, "postgres.cluster", errno, "start PostgreSQL");
	if (pid == 0) {
		become_user(c);
		/* Changing the user clears the death signal, so it is asked for afterwards. */
		prctl(PR_SET_PDEATHSIG, SIGINT);
		if (getppid() != parent)
			_exit(126);
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		int null = open("/dev/null", O_RDONLY);
		if (fd < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
			dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(126);
		execl(server, server, "-D", data, "-k", run, "-c", "listen_addresses=", "-c",
			"unix_socket_permissions=0700", "-c", "logging_collector=off", "-c",
			"max_connections=40", (char *)NULL);
		_exit(127);
	}
	c->pid = pid;
	return RC_OK;
}

/* Waits until the server answers and makes our database. */
static enum rc
wait_ready(struct cluster *c, struct err *e)
{
	char conninfo[SUBPATH_BYTES + 64];
	snprintf(conninfo, sizeof conninfo, "host='%s/run' user=hooklog dbname=postgres", c->dir);
	int64_t deadline_ms = clock_monotonic_ms() + 60000;
	struct pg *pg = NULL;
	for (;;) {
		if (!cluster_running(c))
			return failed_to(c, "start", e);
		if (pg_connect(&pg, conninfo, "hooklog up", e) == RC_OK)
			break;
		if (clock_monotonic_ms() > deadline_ms)
			return failed_to(c, "answer within 60 s", e);
		clock_sleep_ms(50);
	}
	struct pg_result *found = NULL;
	enum rc rc = pg_query(pg, "select 1 from pg_database where datname = 'hooklog'", NULL, 0, &found, e);
	if (rc == RC_OK && pg_rows(found) == 0)
		rc = pg_exec(pg, "create database hooklog", e);
	pg_result_free(found);
	pg_close(pg);
	return rc;
}

/* The server works in another folder, so its paths are absolute. */
static void
absolute(const char *dir, char out[PATH_MAX])
{
	char here[PATH_MAX] = "";
	if (dir[0] != '/' && getcwd(here, sizeof here) == NULL)
		here[0] = '\0';
	if ((size_t)snprintf(out, PATH_MAX, "%s%s%s", here, dir[0] == '/' ? "" : "/", dir) >= PATH_MAX)
		out[PATH_MAX - 1] = '\0';
}

enum rc
cluster_start(struct cluster **out, const char *dir, struct err *e)
{
	struct cluster *c = base_zalloc(sizeof *c);
	enum rc rc;
	absolute(dir, c->dir);
	const size_t socket_max = sizeof ((struct sockaddr_un *)0)->sun_path - sizeof "/run/.s.PGSQL.5432";
	if (strlen(c->dir) > socket_max) {
		rc = err_set(e, RC_INVALID, "postgres.cluster",
			"the path %s is too long for a unix socket (%zu bytes at most); choose a shorter --data",
			dir, socket_max);
		goto done;
	}
	rc = find_bin(c, e);
	if (rc == RC_OK)
		rc = find_user(c, e);
	if (rc == RC_OK)
		rc = make_folders(c, e);
	if (rc == RC_OK)
		rc = init_cluster(c, e);
	if (rc != RC_OK)
		goto done;
	rc = cluster_restart(c, e);
done:
	if (rc != RC_OK) {
		cluster_stop(c);
		c = NULL;
	}
	*out = c;
	return rc;
}

const char *
cluster_conninfo(const char *dir, struct arena *a)
{
	char path[PATH_MAX];
	absolute(dir, path);
	return arena_printf(a, "host='%s/run' user=hooklog dbname=hooklog", path);
}

enum rc
cluster_restart(struct cluster *c, struct err *e)
{
	enum rc rc = end_predecessor(c, e);
	if (rc == RC_OK)
		rc = launch(c, e);
	return rc == RC_OK ? wait_ready(c, e) : rc;
}

bool
cluster_running(struct cluster *cluster)
{
	/* Once its end was noted, the number is no longer ours to signal. */
	if (cluster->pid != 0 && waitpid(cluster->pid, NULL, WNOHANG) != 0)
		cluster->pid = 0;
	return cluster->pid != 0;
}

void
cluster_stop(struct cluster *cluster)
{
	if (cluster == NULL)
		return;
	if (cluster->pid != 0) {
		kill(cluster->pid, SIGINT);
		if (!wait_gone(cluster->pid, 30000)) {
			kill(cluster->pid, SIGQUIT);
			if (!wait_gone(cluster->pid, 10000))
				kill(cluster->pid, SIGKILL);
		}
	}
	free(cluster);
}
