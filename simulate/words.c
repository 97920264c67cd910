/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/words.h"

const char *const words_people[WORDS_PEOPLE] = {
	"aldine-voss",
	"barro-kell",
	"cimba-thorn",
	"dorrit-wex",
	"eskil-marrow",
	"fennimo",
	"garda-liss",
	"hollin-reve",
	"ixa-brandt",
	"jorvin-pell",
	"kestra-oon",
	"lumo-farrid",
	"mirel-stave",
	"nadir-quoll",
	"ombra-tesk",
	"pirrin-dale",
	"quenna-ruft",
	"rasko-vim",
	"selve-harrow",
	"tamsi-orr",
	"udo-glimmer",
	"vanya-crest",
	"wilmot-fay",
	"xanti-bole",
	"yorrin-mace",
	"zella-drum",
	"arno-pilch",
	"brisa-lund",
	"corvo-heft",
	"delph-anner",
	"emmik-straw",
	"farro-nids",
	"gwill-tarn",
	"hesper-ock",
	"ilvo-ranke",
	"jassa-mohr",
	"kolb-itter",
	"lirra-seld",
	"moxa-penn",
	"nils-ferrow",
	"orsa-vennick",
	"pello-grist",
	"rhune-abel",
	"sorrel-tyke",
	"teodar-lim",
	"ulma-fisk",
	"verrin-oat",
	"wenda-skarn",
};

const char *const words_bots[WORDS_BOTS] = { "freshen-deps[bot]", "gatekeeper-ci[bot]",
	"tidy-labels[bot]" };

const char *const words_orgs[WORDS_ORGS] = { "saltmarsh-works", "north-kiln", "quiet-harbour" };

const char *const words_repos[WORDS_REPOS] = { "tide-gauge", "lantern", "kiln-control",
	"ferry-board", "moss-index", "parcel-loom", "gull", "copper-ledger", "dock-planner",
	"river-notes", "fogline", "anvil", "seedbank", "hush-proxy", "weir", "packhorse",
	"ember-docs", "millrace" };

const char *const words_labels[WORDS_LABELS] = { "defect", "wish", "needs tide table", "docs",
	"easy catch", "blocked by weather", "area: harbour", "priority: now" };
const char *const words_colors[WORDS_LABELS] = { "b3261e", "2e7d6b", "e0c36a", "3a5fa8", "8a5fb0",
	"7d7d7d", "c7763a", "10131a" };

const char *const words_languages[WORDS_LANGUAGES] = { "C", "Go", "Rust", "TypeScript", "Python",
	"Shell" };

static const char *const verbs[] = { "Make", "Teach", "Stop", "Mend", "Replace", "Measure",
	"Shorten", "Untangle", "Document", "Speed up", "Split", "Remove" };
static const char *const things[] = { "the tide gauge", "the lamp driver", "the ferry timetable",
	"the moss index", "parcel sorting", "the kiln schedule", "the fog sensor", "the weir gate",
	"the ledger export", "the seed catalogue", "the dock map", "the gull counter" };
static const char *const ends[] = { "after a cold start", "when the wind turns",
	"for night crossings", "before the first snow", "with two keepers on duty",
	"on small boats", "without a restart", "when the ledger is empty",
	"for harbours in the south", "while the gate is moving" };
static const char *const slugs[] = { "mend", "teach", "split", "measure", "drop", "rework", "tidy",
	"guard" };
static const char *const nouns[] = { "tide", "lamp", "ferry", "moss", "parcel", "kiln", "fog",
	"weir", "ledger", "seed", "dock", "gull" };
static const char *const sentences[] = {
	"The keeper on the east pier saw it first and wrote the time down.",
	"Reading the gauge twice gives two answers, which is one too many.",
	"I left the old path in place until the spring run is over.",
	"This was tried on the test barge for a week: no lost parcels.",
	"There is a table below with what the three harbours measured.",
	"Please look at the part about \"slack water\" closely; the rest is moving lines.",
	"It fails only when the lamp was dark for more than nine hours.",
	"Grüße from the night shift 🌊",
	"- [x] keeper's handbook updated\n- [ ] bell rung",
	"```\nweir: gate 4 refused to close (angle=81)\n```",
	"The number in the log is 17 too high, every time, on every boat.",
	"Without this the ferry waits for a parcel that was already delivered.",
	"We could also ask the moss index, but nobody knows who feeds it.",
	"Costs nothing when there is no fog.",
};

static const char *
pick(struct prng *p, const char *const *list, size_t count)
{
	return list[prng_below(p, (unsigned)count)];
}
#define PICK(p, list) pick((p), (list), COUNT_OF(list))

void
words_title(struct prng *p, char *out, size_t out_bytes)
{
	const char *verb = PICK(p, verbs), *thing = PICK(p, things), *end = PICK(p, ends);
	snprintf(out, out_bytes, "%s %s %s", verb, thing, end);
}

void
words_branch(struct prng *p, char *out, size_t out_bytes)
{
	const char *slug = PICK(p, slugs), *first = PICK(p, nouns), *second = PICK(p, nouns);
	snprintf(out, out_bytes, "%s-%s-%s-%u", slug, first, second, prng_below(p, 900) + 100);
}

void
words_text(struct prng *p, char *out, size_t out_bytes)
{
	unsigned count = 1 + prng_below(p, 5);
	size_t len = 0;
	out[0] = '\0';
	for (unsigned i = 0; i < count; i++) {
		const char *sentence = PICK(p, sentences);
		/* Whole sentences only: a cut could split a character. */
		if (len + strlen(sentence) + 3 > out_bytes)
			return;
		len += (size_t)snprintf(
			out + len, out_bytes - len, "%s%s", i == 0 ? "" : "\n\n", sentence);
	}
}

void
words_file(struct prng *p, char *out, size_t out_bytes)
{
	const char *folder = PICK(p, nouns), *name = PICK(p, nouns), *slug = PICK(p, slugs);
	snprintf(out, out_bytes, "src/%s/%s_%s.c", folder, slug, name);
}
