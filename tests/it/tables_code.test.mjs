// SPDX-License-Identifier: Apache-2.0
// Refs, releases, forks, stars, wikis, pages and deploy keys.
import { program, test, assert } from '../lib/harness.mjs';
import { makeTables } from '../lib/github.mjs';
import { repository, sender } from '../lib/project.mjs';

const project = await makeTables(program);
const base = { repository, sender };
const sha = (digit) => digit.repeat(40);
const push = (ref, before, after, more = {}) => ({
	...base, ref, before, after, created: false, deleted: false, forced: false, commits: [], head_commit: null, pusher: { name: 'mona' }, ...more,
});
const release = (action, more = {}) => ({
	...base, action,
	release: { id: 5, tag_name: 'v1', name: 'One', draft: false, prerelease: false, author: sender, assets: [], created_at: '2026-01-01T00:00:00Z', published_at: null, ...more },
});
const asset = (id, more = {}) => ({ id, name: `f${id}`, size: 7, download_count: 0, state: 'uploaded', updated_at: '2026-01-01T00:00:00Z', uploader: sender, ...more });

test('the events are projected', async () => {
	for (const event of ['create', 'delete', 'push', 'release', 'fork', 'star', 'watch', 'gollum', 'page_build', 'deploy_key', 'public'])
		await project.sendExamples(event);
	await project.send('create', { ...base, ref: 'a/b', ref_type: 'branch', master_branch: 'main' });
	await project.send('push', push('refs/heads/a/b', sha('0'), sha('1'), { created: true }));
	project.forced = await project.send('push', push('refs/heads/a/b', sha('1'), sha('2'), { forced: true }));
	// Gone by a push and by an event; made again; gone by a push alone.
	await project.send('push', push('refs/heads/gone', sha('0'), sha('3'), { created: true }));
	project.gone = await project.send('push', push('refs/heads/gone', sha('3'), sha('0'), { deleted: true }));
	await project.send('push', push('refs/heads/again', sha('0'), sha('4'), { created: true }));
	await project.send('delete', { ...base, ref: 'again', ref_type: 'branch' });
	await project.send('push', push('refs/heads/again', sha('0'), sha('5'), { created: true }));
	// A tag and a branch of one name are two things; notes are neither.
	await project.send('push', push('refs/tags/v1', sha('0'), sha('6'), { created: true }));
	await project.send('push', push('refs/heads/v1', sha('0'), sha('7'), { created: true }));
	await project.send('push', push('refs/notes/commits', sha('0'), sha('8'), { created: true }));

	await project.send('release', release('published', { assets: [asset(1), asset(2)] }));
	await project.send('release', release('released', { assets: [asset(1, { download_count: 9, updated_at: '2026-01-02T00:00:00Z' }), asset(3)] }));
	await project.send('release', { ...release('edited', { name: 'One!', assets: [asset(1, { download_count: 3 })] }), sender: { id: 8, login: 'other' } });
	await project.send('release', release('deleted', { id: 6, assets: [asset(4)] }));
	await project.send('star', { ...base, action: 'created', starred_at: '2026-02-01T00:00:00Z' });
	await project.send('star', { ...base, action: 'deleted', starred_at: null });
	await project.send('star', { ...base, sender: { id: 3, login: 'again' }, action: 'deleted', starred_at: null });
	await project.send('star', { ...base, sender: { id: 3, login: 'again' }, action: 'created', starred_at: '2026-02-02T00:00:00Z' });
	await project.send('watch', { ...base, sender: { id: 4, login: 'watcher' }, action: 'started' });
	await project.send('deploy_key', { ...base, action: 'created', key: { id: 77, title: 'k', key: 'ssh-ed25519 AAAA', read_only: false, verified: true, created_at: '2026-01-01T00:00:00Z' } });
	project.keyGone = await project.send('deploy_key', { ...base, sender: { id: 8 }, action: 'deleted', key: { id: 77, title: 'k', key: 'ssh-ed25519 AAAA', read_only: false, verified: true } });
	await project.settle();
});

test('refs: created, moved by force, deleted and made again, tags beside branches', async () => {
	assert.deepEqual(await project.query("select kind, name, head_sha, last_forced, deleted_seq, created_at is not null from gh.refs where repo_id = 10 order by kind, name"), [
		['branch', 'a/b', sha('2'), 't', null, 't'],
		['branch', 'again', sha('5'), 'f', null, 't'],
		['branch', 'gone', null, 'f', String(project.gone), 't'],
		['branch', 'v1', sha('7'), 'f', null, 't'],
		['tag', 'v1', sha('6'), 'f', null, 't'],
	]);
	assert.equal(await project.value("select last_push_seq from gh.refs where name = 'a/b'"), String(project.forced));
	// GitHub's examples make and delete a tag with both kinds of event, the last of them deletes it.
	assert.deepEqual(await project.query("select kind, name, head_sha, deleted_at is not null from gh.refs where repo_id = 186853002 order by 1, 2"), [
		['branch', 'master', '6113728f27ae82c7b1a177c8d03f9e96e0adf246', 'f'],
		['tag', 'simple-tag', null, 't'],
	]);
});

test('releases and their files', async () => {
	assert.deepEqual(await project.query('select id, name, asset_ids, released_by_id, deleted_at is not null from gh.releases where repo_id = 10 order by id'),
		[['5', 'One!', '{1}', '1', 'f'], ['6', 'One', '{4}', null, 't']]);
	assert.deepEqual(await project.query('select id, release_id, download_count, deleted_at is not null from gh.release_assets where repo_id = 10 order by id'),
		[['1', '5', '9', 'f'], ['2', '5', '0', 'f'], ['3', '5', '0', 'f'], ['4', '6', '0', 't']]);
	assert.deepEqual(await project.query('select tag_name, target_commitish, draft, author_id, published_at::text from gh.releases where id = 17372790'),
		[['0.0.1', 'master', 'f', '21031067', '2019-05-15 15:20:53+00']]);
});

test('forks and stars', async () => {
	assert.deepEqual(await project.query('select forkee_id, repo_id, full_name, owner_id, forked_by_id from gh.forks where forkee_id = 186853261'),
		[['186853261', '186853002', 'Octocoders/Hello-World', '38302899', '38302899']]);
	assert.deepEqual(await project.query('select user_id, starred_at::text, deleted_at is null from gh.stars where repo_id = 10 order by 1'),
		[['1', '2026-02-01 00:00:00+00', 'f'], ['3', '2026-02-02 00:00:00+00', 't']]);
});

test('wiki edits, page builds and deploy keys', async () => {
	assert.deepEqual(await project.query('select distinct position, page_name, title, action, sha from gh.wiki_edits where repo_id = 186853002'),
		[['0', 'Home', 'Home', 'edited', '6bf911d3801dd1ef957fc6ade5a8d96429e7fa39']]);
	assert.deepEqual(await project.query('select repo_id, status, error, commit_sha, duration_ms, pusher_id from gh.page_builds where id = 130514899'),
		[['186853002', 'built', null, '507fc9acd0d04ac4a9db87d12cb228c052cd813a', '16984', '21031067']]);
	assert.deepEqual(await project.query('select id, title, read_only, verified, added_by_id, deleted_seq from gh.deploy_keys where repo_id = 10'),
		[['77', 'k', 'f', 't', '1', String(project.keyGone)]]);
	assert.deepEqual(await project.query('select id, title, read_only from gh.deploy_keys where repo_id = 135493233'), [['100', 'hey-its-a-deploy-key', 't']]);
});
