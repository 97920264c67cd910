// SPDX-License-Identifier: Apache-2.0
// What the tables must hold after a list of GitHub deliveries, worked out a second time and in another
// way than the projector does: whole payloads in memory, one plain function per table, no column groups
// but "the newest object that has the key". Values are text, as psql prints them.

const text = (v) => v === undefined || v === null ? null : typeof v === 'boolean' ? (v ? 't' : 'f') : String(v);
const byId = (a, b) => (BigInt(a[0]) < BigInt(b[0]) ? -1 : 1);

// ISO time or seconds since 1970 to milliseconds; -Infinity when there is none.
const time = (v) => v === undefined || v === null ? -Infinity : typeof v === 'number' ? v * 1000 : Date.parse(v);

// Sightings of one kind of object: [{object, payload, event, seq, rank}].
function sightings(deliveries, places) {
	const found = [];
	for (const { event, payload, seq } of deliveries)
		for (const { at, on, rank = 0, where = () => true, extra = {} } of places) {
			if (on && !on.includes(event))
				continue;
			for (const object of [at(payload)].flat())
				if (object !== null && typeof object === 'object' && where(object))
					found.push({ object, payload, event, seq, rank, ...extra });
		}
	return found;
}

function isNewer(left, right) {
	const i = left.findIndex((v, k) => v !== right[k]);
	return i >= 0 && left[i] > right[i];
}

// The newest sighting per key among those that satisfy has; version is [time, rank, seq].
function newest(list, keyOf, versionOf, has = () => true) {
	const best = new Map();
	for (const s of list) {
		const key = keyOf(s);
		if (key === null || key.includes(null) || key.includes(undefined) || !has(s))
			continue;
		const version = versionOf(s);
		const old = best.get(key.join('/'));
		if (!old || isNewer(version, old.version))
			best.set(key.join('/'), { key, version, s });
	}
	return best;
}

const stamped = (s) => {
	const at = time(s.object.updated_at);
	return [at, at === -Infinity ? 0 : s.rank, s.seq];
};
const unstamped = (s) => [s.seq, s.rank];

const id = (s) => [s.object.id];

// Every object anywhere in the payload that fits, with the name of the member it is in.
function anywhere(value, fits, name = '', found = []) {
	if (Array.isArray(value))
		value.forEach((v) => anywhere(v, fits, name, found));
	else if (value !== null && typeof value === 'object') {
		if (fits(value, name))
			found.push(value);
		for (const [key, v] of Object.entries(value))
			anywhere(v, fits, key, found);
	}
	return found;
}

// An invitation has the login of whom it invites, and an id of its own.
const isAccount = (o, name) => 'login' in o && 'id' in o && name !== 'invitation';

function users(deliveries) {
	const at = (p) => ({ at: p });
	const places = [
		at((p) => p.sender), at((p) => p.repository?.owner), at((p) => p.installation?.account), at((p) => p.organization),
		at((p) => p.member), at((p) => p.membership?.user), at((p) => p.assignee), at((p) => p.requested_reviewer),
		at((p) => p.blocked_user), at((p) => p.pull_request?.user), at((p) => p.pull_request?.assignee),
		at((p) => p.pull_request?.assignees), at((p) => p.pull_request?.requested_reviewers), at((p) => p.pull_request?.merged_by),
		at((p) => p.pull_request?.head?.user), at((p) => p.pull_request?.base?.user), at((p) => p.issue?.user),
		at((p) => p.issue?.assignee), at((p) => p.issue?.assignees), at((p) => p.issue?.closed_by), at((p) => p.comment?.user),
		at((p) => p.review?.user), at((p) => p.discussion?.user), at((p) => p.release?.author), at((p) => p.deployment?.creator),
		at((p) => p.deployment_status?.creator), at((p) => p.workflow_run?.actor), at((p) => p.workflow_run?.triggering_actor),
		at((p) => p.forkee?.owner), { on: ['status'], at: (p) => p.commit?.author }, { on: ['status'], at: (p) => p.commit?.committer },
		at((p) => anywhere(p, isAccount)),
	];
	return [...newest(sightings(deliveries, places), id, unstamped, (s) => 'login' in s.object).values()]
		.map(({ s: { object: o } }) => [text(o.id), text(o.login), text(o.type ?? ('members_url' in o ? 'Organization' : null))])
		.sort(byId);
}

function organizations(deliveries) {
	const isOrg = (o) => o.type === 'Organization';
	const list = sightings(deliveries, [{ at: (p) => p.organization, rank: 1 },
		{ at: (p) => p.repository?.owner, where: isOrg }, { at: (p) => p.installation?.account, where: isOrg },
		{ at: (p) => anywhere(p, (o, name) => isAccount(o, name) && (isOrg(o) || name === 'organization')) }]);
	return [...newest(list, id, unstamped).values()].map(({ s: { object: o } }) => [text(o.id), text(o.login)]).sort(byId);
}

function repositories(deliveries) {
	const list = sightings(deliveries, [{ on: ['repository'], at: (p) => p.repository, rank: 1 }, { at: (p) => p.repository },
		{ at: (p) => p.pull_request?.head?.repo }, { at: (p) => p.pull_request?.base?.repo }, { at: (p) => p.forkee },
		{ at: (p) => p.repositories }, { at: (p) => p.repositories_added },
		{ at: (p) => anywhere(p, (o) => 'full_name' in o && 'id' in o) }]);
	const full = newest(list, id, stamped, (s) => s.object.owner !== undefined && 'id' in (s.object.owner ?? {}));
	return [...newest(list, id, stamped).values()].map(({ key, s: { object: o } }) => {
		const whole = full.get(key.join('/'))?.s.object;
		return [text(o.id), text(o.full_name), text(whole?.owner?.id), text(whole?.default_branch),
			text(whole?.stargazers_count), text(whole === undefined)];
	}).sort(byId);
}

function pullRequests(deliveries) {
	const list = sightings(deliveries, [{ on: ['pull_request'], at: (p) => p.pull_request, rank: 1 }, { at: (p) => p.pull_request }]);
	const full = newest(list, id, stamped, (s) => 'merged' in s.object);
	return [...newest(list, id, stamped, (s) => 'number' in s.object).values()].map(({ key, s: { object: o } }) => {
		const whole = full.get(key.join('/'))?.s.object;
		return [text(o.id), text(o.number), text(o.state), text(o.title), text(o.user?.id), text(o.head?.sha), text(o.base?.ref),
			text(whole?.merged), text(whole?.additions), text(whole?.comments)];
	}).sort(byId);
}

function issues(deliveries) {
	const list = sightings(deliveries, [{ on: ['issues'], at: (p) => p.issue, rank: 1 }, { at: (p) => p.issue }]);
	return [...newest(list, id, stamped).values()].map(({ s: { object: o } }) =>
		[text(o.id), text(o.number), text(o.state), text(o.title), text(o.user?.id), text('pull_request' in o && o.pull_request !== null)]).sort(byId);
}

const COMMENTS = { issue_comment: 'issue', pull_request_review_comment: 'review', commit_comment: 'commit', discussion_comment: 'discussion' };

function comments(deliveries) {
	const list = sightings(deliveries, Object.entries(COMMENTS).map(([event, kind]) => ({ on: [event], at: (p) => p.comment, extra: { kind } })));
	const deleted = new Set(list.filter((s) => s.payload.action === 'deleted').map((s) => `${s.kind}/${s.object.id}`));
	return [...newest(list, (s) => [s.kind, s.object.id], stamped).values()].map(({ key, s: { kind, object: o, payload: p } }) =>
		[kind, text(o.id), text(o.user?.id), text((p.issue ?? p.pull_request ?? p.discussion)?.number), text(o.body), text(deleted.has(key.join('/')))])
		.sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : byId([a[1]], [b[1]]));
}

function reviews(deliveries) {
	const list = sightings(deliveries, [{ on: ['pull_request_review'], at: (p) => p.review }]);
	return [...newest(list, id, unstamped).values()].map(({ s: { object: o, payload: p } }) =>
		[text(o.id), text(p.pull_request.id), text(o.state), text(o.user?.id), text(o.commit_id)]).sort(byId);
}

const pushesOf = (deliveries) => deliveries.filter((d) => d.event === 'push');

function pushes(deliveries) {
	return pushesOf(deliveries).map(({ payload: p, seq }) =>
		[text(seq), text(p.repository.id), text(p.ref), text(p.before), text(p.after), text(p.forced), text(p.commits.length)]).sort(byId);
}

function commits(deliveries) {
	// Two examples give one commit two messages, and they are stored in any order. The list of commits counts more than the head alone, then the later push.
	const rows = new Map();
	for (const list of ['head_commit', 'commits'])
		for (const { payload: p } of pushesOf(deliveries).sort((a, b) => a.seq - b.seq))
			for (const c of [p[list]].flat().filter(Boolean))
				rows.set(`${p.repository.id}/${c.id}`, [text(p.repository.id), c.id, text(c.message), text(c.author?.email), text(c.added?.length)]);
	return [...rows.values()].sort((a, b) => a[0] === b[0] ? (a[1] < b[1] ? -1 : 1) : byId(a, b));
}

function pushCommits(deliveries) {
	return pushesOf(deliveries).sort((a, b) => a.seq - b.seq)
		.flatMap(({ payload: p, seq }) => p.commits.map((c, i) => [text(seq), text(i), c.id, text(c.distinct)]));
}

function events(deliveries) {
	return deliveries.map(({ payload: p, event, delivery, body, seq }) =>
		[text(seq), 'github', event, text(p.action), delivery, text(p.repository?.id), text(p.sender?.id), text(Buffer.byteLength(body)), 'f']).sort(byId);
}

// {table: {columns, order, rows}}; rows as psql gives them in that order.
export function expectedRows(deliveries) {
	return {
		'hooklog.events': { columns: ['seq', 'provider', 'event', 'action', 'delivery', 'repo_id', 'sender_id', 'bytes', 'parked'], order: 'seq', rows: events(deliveries) },
		'gh.users': { columns: ['id', 'login', 'type'], order: 'id', rows: users(deliveries) },
		'gh.organizations': { columns: ['id', 'login'], order: 'id', rows: organizations(deliveries) },
		'gh.repositories': { columns: ['id', 'full_name', 'owner_id', 'default_branch', 'stars', 'partial'], order: 'id', rows: repositories(deliveries) },
		'gh.pull_requests': { columns: ['id', 'number', 'state', 'title', 'author_id', 'head_sha', 'base_ref', 'merged', 'additions', 'comments'], order: 'id', rows: pullRequests(deliveries) },
		'gh.issues': { columns: ['id', 'number', 'state', 'title', 'author_id', 'is_pull_request'], order: 'id', rows: issues(deliveries) },
		'gh.comments': { columns: ['kind', 'id', 'author_id', 'number', 'body', 'deleted_at is not null'], order: 'kind, id', rows: comments(deliveries) },
		'gh.reviews': { columns: ['id', 'pull_request_id', 'state', 'author_id', 'commit_sha'], order: 'id', rows: reviews(deliveries) },
		'gh.pushes': { columns: ['seq', 'repo_id', 'ref', 'before', 'after', 'forced', 'commit_count'], order: 'seq', rows: pushes(deliveries) },
		'gh.commits': { columns: ['repo_id', 'sha', 'message', 'author_email', 'added'], order: 'repo_id, sha', rows: commits(deliveries) },
		'gh.push_commits': { columns: ['seq', 'position', 'sha', 'is_distinct'], order: 'seq, position', rows: pushCommits(deliveries) },
	};
}
