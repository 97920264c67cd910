-- Sponsorships by GraphQL id: GitHub gives them no other. A cancelled one has deleted_at.
--
-- provider: github
-- key: node_id
-- rows: sponsorship on sponsorship rank 1
-- delete: sponsorship.cancelled
create table sponsorships (
	node_id        text primary key,
	sponsorable_id bigint, -- = sponsorable.id
	sponsor_id     bigint, -- = sponsor.id
	privacy_level  text, -- = privacy_level
	tier_name      text, -- = tier.name
	monthly_cents  bigint, -- = tier.monthly_price_in_cents
	is_one_time    boolean, -- = tier.is_one_time
	created_at     timestamptz, -- = created_at
	pending_action text, -- pending = $.effective_date => $.action
	effective_at   timestamptz -- pending = $.effective_date
);

create index sponsorships_sponsorable on sponsorships (sponsorable_id);
