-- Renames of accounts and repositories, and moves of repositories to other owners: one row per event.
-- A rename tells the name, a transfer the owner.
--
-- provider: github
-- kind: fact
-- key: kind, id, seq
-- rows: . on repository where changes.repository.name.from kind='repository' reason='rename'
-- rows: . on repository where changes.owner.from kind='repository' reason='transfer'
-- rows: . on organization where changes.login.from kind='organization' reason='rename'
-- rows: . on installation_target where changes.login.from reason='rename'
-- rows: . on installation_target where changes.slug.from reason='rename'
create table account_names (
	kind        text not null, -- = :kind | target_type='User' => 'user' | target_type='Enterprise' => 'enterprise' | 'organization' -- user, organization, enterprise or repository
	id          bigint not null, -- = :kind='repository' => repository.id | :kind='organization' => organization.id | account.id -- of that account or repository
	seq         bigint not null, -- = @seq
	received_at timestamptz not null, -- = @received_at
	reason      text, -- = :reason -- rename or transfer
	old_name    text, -- = changes.repository.name.from | changes.owner.from.user.login | changes.owner.from.organization.login | changes.login.from | changes.slug.from -- name before; of a transfer the old owner
	new_name    text, -- = :reason='transfer' => repository.owner.login | :kind='repository' => repository.name | :kind='organization' => organization.login | account.login | account.slug -- name since; of a transfer the new owner
	full_name   text, -- = :kind='repository' => repository.full_name
	sender_id   bigint, -- = sender.id
	primary key (kind, id, seq)
);

create index account_names_old on account_names (old_name);
