// SPDX-License-Identifier: Apache-2.0
// What belongs to pull requests, issues and discussions: threads, heads, labels, milestones, links.
import { program, test, assert } from '../lib/harness.mjs';
import { makeTables } from '../lib/github.mjs';
import { fullPull, repository, sender, thinPull } from '../lib/project.mjs';

const project = await makeTables(program);
const base = { repository, sender };
const other = { ...repository, id: 11, name: 'other', full_name: 'acme/other' };
const day = (d) => `2026-03-${String(d).padStart(2, '0')}T00:00:00Z`;
const sha = (digit) => digit.repeat(40);
const label = (id, name) => ({ id, name, color: 'f29513', default: false, description: null });
const issue = (id, more = {}) => ({ id, number: id, title: `i${id}`, state: 'open', user: sender, updated_at: day(1), labels: [], assignees: [], ...more });
const seqs = {};

test('the events are projected', async () => {
	for (const event of ['pull_request', 'pull_request_review', 'pull_request_review_thread', 'merge_group', 'label', 'milestone', 'discussion', 'discussion_comment', 'issues', 'issue_comment'])
		await project.sendExamples(event);

	// The sets of a pull request: what the newest event lists, whichever event that is and comes when.
	const sets = (labels, assignees, reviewers, teams) => ({ labels, assignees, requested_reviewers: reviewers, requested_teams: teams });
	await project.send('pull_request', { ...base, action: 'opened', pull_request: fullPull(100, day(1), sets([], [], [], [])) });
	await project.send('pull_request', { ...base, action: 'review_requested', pull_request: fullPull(100, day(3), sets([label(51, 'bug'), label(52, 'ui')], [sender], [{ id: 3, login: 'r' }], [{ id: 8, name: 'core' }])) });
	await project.send('pull_request', { ...base, action: 'labeled', pull_request: fullPull(100, day(2), sets([label(51, 'bug')], [sender], [], [])) });
	// An object that lists none at all says nothing of them.
	await project.send('pull_request_review', { ...base, action: 'submitted', pull_request: thinPull(100, day(4)), review: { id: 1, state: 'approved', user: sender } });
	seqs.moved = await project.send('pull_request', { ...base, action: 'synchronize', before: sha('a'), after: sha('c'), pull_request: fullPull(100, day(4), { head: { ref: 'topic', sha: sha('c'), user: sender, repo: repository } }) });

	const thread = (action, updated, more) => ({ ...base, action, updated_at: updated, pull_request: thinPull(100, day(4)), thread: { node_id: 'PRRT_1', comments: [{ id: 61 }, { id: 62 }] }, ...more });
	await project.send('pull_request_review_thread', thread('unresolved', day(6)));
	await project.send('pull_request_review_thread', thread('resolved', day(7), { sender: { id: 3, login: 'r' } }));
	await project.send('pull_request_review_thread', thread('resolved', day(5)));
	const group = (action, more) => ({ ...base, action, merge_group: { head_sha: sha('9'), head_ref: 'refs/heads/q', base_ref: 'refs/heads/main', base_sha: sha('8') }, ...more });
	await project.send('merge_group', group('destroyed', { reason: 'merged' }));
	await project.send('merge_group', group('checks_requested'));

	await project.send('label', { ...base, action: 'created', label: label(51, 'bug') });
	await project.send('label', { ...base, action: 'edited', label: label(51, 'defect') });
	seqs.label = await project.send('label', { ...base, action: 'deleted', label: label(52, 'ui') });
	await project.send('milestone', { ...base, action: 'closed', milestone: { id: 41, number: 1, title: 'v1', state: 'closed', open_issues: 0, closed_issues: 3, updated_at: day(5), creator: sender, due_on: day(9) } });
	// The milestone as an issue knew it before: older.
	await project.send('issues', { ...base, action: 'milestoned', issue: issue(1, { milestone: { id: 41, number: 1, title: 'v1 soon', state: 'open', updated_at: day(4) } }) });
	await project.send('discussion', { ...base, action: 'answered', answer: { id: 71 }, discussion: { id: 31, number: 9, title: 'Why', state: 'open', updated_at: day(3), category: { id: 1, name: 'Q&A', is_answerable: true }, labels: [label(51, 'defect')] } });
	await project.send('discussion', { ...base, action: 'unanswered', old_answer: { id: 71 }, discussion: { id: 31, number: 9, title: 'Why', state: 'open', updated_at: day(2), category: { id: 1, name: 'Q&A', is_answerable: true } } });
	await project.send('discussion', { ...base, action: 'deleted', discussion: { id: 32, number: 10, title: 'Gone', state: 'open', updated_at: day(2) } });

	// Issue 1 of hello becomes 901 of other, told by both repositories; 2 only by the new one.
	await project.send('issues', { ...base, action: 'transferred', issue: issue(1, { updated_at: day(8) }), changes: { new_issue: issue(901, { number: 4 }), new_repository: other } });
	await project.send('issues', { ...base, repository: other, action: 'opened', issue: issue(901, { number: 4 }), changes: { old_issue: issue(1), old_repository: repository } });
	await project.send('issues', { ...base, repository: other, action: 'opened', issue: issue(902, { number: 5 }), changes: { old_issue: issue(2), old_repository: repository } });

	const link = (action, more) => ({ ...base, action, parent_issue_id: 20, parent_issue: issue(20), sub_issue_id: 21, sub_issue: issue(21), sub_issue_repo: other, ...more });
	await project.send('sub_issues', link('sub_issue_added'));
	await project.send('sub_issues', { ...link('parent_issue_added', { sub_issue_repo: undefined, parent_issue_repo: repository }), repository: other });
	await project.send('sub_issues', link('sub_issue_added', { sub_issue_id: 22, sub_issue: issue(22) }));
	seqs.unlinked = await project.send('sub_issues', link('sub_issue_removed', { sub_issue_id: 22, sub_issue: issue(22) }));
	await project.send('issue_dependencies', { ...base, action: 'blocked_by_added', blocked_issue_id: 23, blocked_issue: issue(23), blocking_issue_id: 24, blocking_issue: issue(24), blocking_issue_repo: other });
	await project.settle();
});

test('sets of labels, assignees and reviewers', async () => {
	assert.deepEqual(await project.query('select label_ids, assignee_ids, reviewer_ids, review_team_ids from gh.pull_requests where id = 100'), [['{51,52}', '{1}', '{3}', '{8}']]);
	// GitHub's example, which was opened without any: the later states list them.
	assert.deepEqual(await project.query('select label_ids, assignee_ids from gh.pull_requests where id = 279147437'), [['{1362934389}', '{21031067}']]);
	assert.deepEqual(await project.query('select label_ids, assignee_ids from gh.issues where id = 444500041'), [['{1362934389}', '{21031067}']]);
});

test('heads of pull requests', async () => {
	assert.deepEqual(await project.query('select seq, before_sha, head_sha from gh.pull_request_heads where pull_request_id = 100 order by seq desc'),
		[[String(seqs.moved), sha('a'), sha('c')], [String(seqs.moved - 4), null, sha('a')]]);
	// Four examples open it, one moves its head.
	assert.deepEqual(await project.query('select count(*), count(before_sha) from gh.pull_request_heads where pull_request_id = 279147437'), [['5', '1']]);
});

test('review threads and merge groups', async () => {
	assert.deepEqual(await project.query("select pull_request_id, comment_ids, is_resolved, resolved_at::text, resolved_by_id from gh.review_threads where node_id = 'PRRT_1'"),
		[['100', '{61,62}', 't', '2026-03-07 00:00:00+00', '3']]);
	assert.deepEqual(await project.query("select node_id, is_resolved, resolved_at is null, comment_ids from gh.review_threads where node_id like 'PRRT_kw%' order by 1"),
		[['PRRT_kwDOEL39TM4w7XDQ', 't', 'f', '{820867280}'], ['PRRT_kwDOFd42Pc4rQOUv', 'f', 't', '{284312630}']]);
	assert.deepEqual(await project.query('select base_ref, reason, destroyed_at < checks_requested_at from gh.merge_groups where repo_id = 10'), [['refs/heads/main', 'merged', 't']]);
	assert.deepEqual(await project.query("select head_ref, base_sha, destroyed_at from gh.merge_groups where head_sha = '2ffea6db159f6b6c47a24e778fb9ef40cf6b1c7d'"),
		[['refs/heads/gh-readonly-queue/main/pr-104-929f8209d40f77f4abc622a499c93a83babdbe64', '380387fbc80638b734a49e1be1c4dfec1c01b33c', null]]);
});

test('labels and milestones', async () => {
	assert.deepEqual(await project.query('select id, name, deleted_seq from gh.labels where repo_id = 10 and id < 60 order by id'), [['51', 'defect', null], ['52', 'ui', String(seqs.label)]]);
	assert.deepEqual(await project.query('select name, color, is_default, repo_id from gh.labels where id = 1362934389'), [['bug', 'd73a4a', 't', '186853002']]);
	assert.deepEqual(await project.query('select title, state, closed_issues, due_on::text from gh.milestones where id = 41'), [['v1', 'closed', '3', '2026-03-09 00:00:00+00']]);
	assert.deepEqual(await project.query('select number, title, state, deleted_at is not null from gh.milestones where id = 4317517'), [['1', 'v1.0', 'closed', 't']]);
});

test('discussions', async () => {
	assert.deepEqual(await project.query('select id, title, category_name, is_answerable, label_ids, answer_id, deleted_at is not null from gh.discussions where repo_id = 10 order by id'), [
		['31', 'Why', 'Q&A', 't', '{51}', '71', 'f'],
		['32', 'Gone', null, null, null, null, 't'],
	]);
	assert.deepEqual(await project.query('select repo_id, number, author_id, category_name, answer_id, transferred_to_id from gh.discussions where id = 3299614'),
		[['186853002', '4', '4595477', 'Q&A', null, '3299835']]);
});

test('transfers', async () => {
	assert.deepEqual(await project.query('select old_id, new_id, old_number, new_number, from_repo_id, to_repo_id from gh.issue_transfers where old_id < 10 order by 1'), [
		['1', '901', '1', '4', '10', '11'],
		['2', '902', '2', '5', '10', '11'],
	]);
	assert.deepEqual(await project.query('select new_id, from_repo_id, to_repo_id from gh.issue_transfers where old_id = 512748900'), [['444500041', '17273051', '186853002']]);
	assert.equal(await project.value('select transferred_to_id from gh.issues where id = 1'), '901');
});

test('links between issues', async () => {
	assert.deepEqual(await project.query('select kind, from_id, to_id, from_repo_id, to_repo_id, deleted_seq from gh.issue_links order by 1, 2, 3'), [
		['blocks', '24', '23', '11', '10', null],
		['sub_issue', '20', '21', '10', '11', null],
		['sub_issue', '20', '22', '10', '11', String(seqs.unlinked)],
	]);
	assert.deepEqual(await project.query('select id, parent_issue_id from gh.issues where id in (21, 22) order by id'), [['21', '20'], ['22', null]]);
	// The issues themselves, each with its own repository.
	assert.deepEqual(await project.query('select id, repo_id from gh.issues where id between 21 and 24 order by id'), [['21', '11'], ['22', '11'], ['23', '10'], ['24', '11']]);
});
