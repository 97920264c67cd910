/* SPDX-License-Identifier: Apache-2.0 */
#include "store/trainer.h"
#include "tests/unit/store/helper.h"

/* As many as replace all samples once there are some: every 16th is kept, of 512. */
#define RENEWAL 8192

struct fixture {
	struct packer *packer;
	struct trainer *trainer;
};

static int
setup(void **state)
{
	struct fixture *f = base_zalloc(sizeof *f);
	struct err e;
	f->packer = packer_new();
	*state = f;
	return trainer_new(&f->trainer, f->packer, &e) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	trainer_free(f->trainer);
	packer_free(f->packer);
	free(f);
	return 0;
}

/* Offers events whose bodies are about topics, each with words and numbers of its own, and waits for what comes of
 * it. */
static void
offer(struct fixture *f, const char *const topics[3], unsigned first, unsigned count)
{
	char body[1024];
	for (unsigned n = first; n < first + count; n++) {
		size_t len = 0;
		for (unsigned i = 0; i < 8; i++)
			len += (size_t)snprintf(body + len, sizeof body - len, "{\"%s\":%u,\"%s\":\"%u-%u\",\"%s\":null}",
				topics[(n + i) % 3], n % 977 * 7919 + i, topics[i % 3], n % 97, n % 977 * i, topics[n % 3]);
		trainer_offer(f->trainer, bytes_str("envelope"), (struct bytes){ (unsigned char *)body, len });
	}
	trainer_kick(f->trainer);
	trainer_drain(f->trainer);
}

static uint32_t
current(struct fixture *f)
{
	struct dict *d = packer_dict(f->packer);
	uint32_t id = d == NULL ? 0 : dict_id(d);
	dict_unref(d);
	return id;
}

static const char *const forge[] = { "pull_request_review_comment", "installation_repositories",
	"workflow_job_steps_completed_at" };
static const char *const shop[] = { "customer_shipping_address_line", "line_items_discount_amounts",
	"payment_intent_last_error_code" };

static void
a_new_dictionary_must_pay(void **state)
{
	struct fixture *f = *state;
	offer(f, forge, 0, 511);
	assert_int_equal(current(f), 0);
	offer(f, forge, 511, 1);
	uint32_t first = current(f);
	assert_int_not_equal(first, 0);
	/* More of the same is trained with, and nothing is gained. */
	offer(f, forge, 10000, RENEWAL);
	assert_int_equal(current(f), first);
	/* Other events than before. */
	offer(f, shop, 50000, RENEWAL);
	uint32_t second = current(f);
	assert_int_not_equal(second, first);
	offer(f, shop, 90000, RENEWAL);
	assert_int_equal(current(f), second);
}

static void
trying_a_dictionary_tells_what_it_saves(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "{\"pull_request_review_comment\":4711,\"installation_repositories\":\"11-15\"}";
	const size_t sizes[] = { sizeof text - 1 };
	offer(f, forge, 0, 512);
	struct dict *d = packer_dict(f->packer);
	uint64_t without = dict_try(NULL, bytes_str(text), sizes, 1), with = dict_try(d, bytes_str(text), sizes, 1);
	assert_true(with < without && without <= sizeof text - 1);
	dict_unref(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_dictionary_must_pay, setup, teardown),
		cmocka_unit_test_setup_teardown(trying_a_dictionary_tells_what_it_saves, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
