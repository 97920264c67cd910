/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "store/trainer.h"

/* zstd asks for about a hundred times the dictionary's size in samples; webhooks repeat themselves so
 * much that half of it does, and 8 MiB is what this may cost in memory. */
#define SAMPLES 512
#define SAMPLE_BYTES_MAX ((size_t)16 * 1024)
/* Once there are enough, every so many-th event replaces the oldest sample. */
#define KEEP_EVERY 16

struct trainer {
	struct packer *packer;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct {
		unsigned char *data;
		size_t len;
	} samples[SAMPLES];
	uint64_t offered, kept;
	uint64_t kept_at_training; /* kept when the last training began */
	bool has_dict, wanted, busy, closing;
	pthread_t thread;
};

/* A new dictionary must save at least one in so many bytes of what the old one leaves. It costs its own 110 KiB in
 * the segment, and another one in the memory of every reader. */
#define WORTHWHILE_PART 20
/* One in so many samples is kept from the training and asked whether it was worth it. */
#define ASK_EVERY 4

/* The samples one after the other: first those to train with, then those to ask. */
struct material {
	unsigned char *data;
	size_t sizes[SAMPLES];
	unsigned train_count, ask_count;
	size_t train_bytes, ask_bytes;
};

static void
add_samples(struct trainer *t, struct material *m, bool ask)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		size_t len = t->samples[i].len;
		if (len == 0 || (i % ASK_EVERY == 0) != ask)
			continue;
		memcpy(m->data + m->train_bytes + m->ask_bytes, t->samples[i].data, len);
		m->sizes[m->train_count + m->ask_count] = len;
		m->train_count += !ask;
		m->ask_count += ask;
		m->train_bytes += ask ? 0 : len;
		m->ask_bytes += ask ? len : 0;
	}
}

static bool
pays(const struct material *m, const struct dict *d, const struct dict *old)
{
	const struct bytes data = { m->data + m->train_bytes, m->ask_bytes };
	if (old == NULL)
		return true;
	uint64_t before = dict_try(old, data, m->sizes + m->train_count, m->ask_count);
	uint64_t after = dict_try(d, data, m->sizes + m->train_count, m->ask_count);
	return after + before / WORTHWHILE_PART < before;
}

/* Trains from a copy, so that nobody waits for the lock meanwhile. */
static void
train(struct trainer *t)
{
	struct material m = { 0 };
	size_t total = 0;
	for (size_t i = 0; i < SAMPLES; i++)
		total += t->samples[i].len;
	m.data = base_alloc(total + 1);
	add_samples(t, &m, false);
	add_samples(t, &m, true);
	t->kept_at_training = t->kept;
	pthread_mutex_unlock(&t->lock);
	struct dict *old = packer_dict(t->packer);
	struct dict *d = dict_train((struct bytes){ m.data, m.train_bytes }, m.sizes, m.train_count);
	if (d != NULL && pays(&m, d, old))
		packer_set_dict(t->packer, d);
	dict_unref(d);
	dict_unref(old);
	free(m.data);
	pthread_mutex_lock(&t->lock);
}

static void *
trainer_thread(void *context)
{
	struct trainer *t = context;
	/* On Linux this is the thread's own priority: receiving comes first. */
	(void)setpriority(PRIO_PROCESS, 0, 10);
	pthread_mutex_lock(&t->lock);
	while (!t->closing) {
		if (!t->wanted) {
			pthread_cond_wait(&t->changed, &t->lock);
			continue;
		}
		t->wanted = false;
		t->busy = true;
		train(t);
		t->busy = false;
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

enum rc
trainer_new(struct trainer **out, struct packer *p, struct err *e)
{
	struct trainer *t = base_zalloc(sizeof *t);
	sigset_t all, before;
	t->packer = p;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int code = pthread_create(&t->thread, NULL, trainer_thread, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	*out = t;
	if (code == 0)
		return RC_OK;
	*out = NULL;
	free(t);
	return err_sys(e, RC_IO, NULL, code, "start the dictionary thread");
}

void
trainer_free(struct trainer *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	t->closing = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	for (size_t i = 0; i < SAMPLES; i++)
		free(t->samples[i].data);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void
trainer_offer(struct trainer *t, struct bytes envelope, struct bytes body)
{
	pthread_mutex_lock(&t->lock);
	if (t->offered++ % KEEP_EVERY == 0 || t->kept < SAMPLES) {
		size_t room = SAMPLE_BYTES_MAX - (envelope.len < SAMPLE_BYTES_MAX ? envelope.len : 0);
		size_t head = envelope.len < SAMPLE_BYTES_MAX ? envelope.len : 0;
		size_t tail = body.len < room ? body.len : room;
		size_t i = t->kept++ % SAMPLES;
		t->samples[i].data = base_realloc(t->samples[i].data, head + tail + 1);
		if (head > 0)
			memcpy(t->samples[i].data, envelope.data, head);
		if (tail > 0)
			memcpy(t->samples[i].data + head, body.data, tail);
		t->samples[i].len = head + tail;
		if (!t->has_dict && t->kept == SAMPLES) {
			t->has_dict = t->wanted = true;
			pthread_cond_broadcast(&t->changed);
		}
	}
	pthread_mutex_unlock(&t->lock);
}

void
trainer_kick(struct trainer *t)
{
	pthread_mutex_lock(&t->lock);
	if (t->kept >= t->kept_at_training + SAMPLES) {
		t->has_dict = t->wanted = true;
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
}

void
trainer_has_dict(struct trainer *t)
{
	pthread_mutex_lock(&t->lock);
	t->has_dict = true;
	pthread_mutex_unlock(&t->lock);
}

void
trainer_drain(struct trainer *t)
{
	pthread_mutex_lock(&t->lock);
	while (t->wanted || t->busy)
		pthread_cond_wait(&t->changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
}
