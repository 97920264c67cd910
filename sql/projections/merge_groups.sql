-- Groups of the merge queue by the commit that was built for them.
--
-- provider: github
-- key: repo_id, head_sha
-- rows: merge_group on merge_group rank 1
create table merge_groups (
	repo_id             bigint not null, -- = $.repository.id
	head_sha            text not null, -- = head_sha
	head_ref            text, -- = head_ref -- branch that the queue made
	base_ref            text, -- = base_ref
	base_sha            text, -- = base_sha
	checks_requested_at timestamptz, -- requested = $.action='checks_requested' => @received_at -- when its checks were asked for
	destroyed_at        timestamptz, -- destroyed = $.action='destroyed' => @received_at -- when it was taken apart
	reason              text, -- destroyed = $.reason -- merged, invalidated or dequeued
	primary key (repo_id, head_sha)
);
