-- Sponsorships by GraphQL id: GitHub gives them no other. A cancelled one has deleted_at.
--
-- provider: github
-- key: node_id
-- rows: sponsorship on sponsorship rank 1
-- delete: sponsorship.cancelled
create table sponsorships (
	node_id        text primary key,
	sponsorable_id bigint, -- = sponsorable.id -- who gets it: gh.users.id
	sponsor_id     bigint, -- = sponsor.id -- who gives it: gh.users.id
	privacy_level  text, -- = privacy_level -- public or private
	tier_name      text, -- = tier.name -- name of the tier
	monthly_cents  bigint, -- = tier.monthly_price_in_cents -- price of a month in cents
	is_one_time    boolean, -- = tier.is_one_time -- paid once
	created_at     timestamptz, -- = created_at
	pending_action text, -- pending = $.effective_date => $.action -- change that takes effect later
	effective_at   timestamptz -- pending = $.effective_date -- when the change takes effect
);

create index sponsorships_sponsorable on sponsorships (sponsorable_id);
