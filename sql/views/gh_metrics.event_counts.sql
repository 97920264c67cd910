-- Events per source, type, action and day, with the numbers of the first and last of them.
create or replace view gh_metrics.event_counts as
select e.source, e.event, e.action, (e.received_at at time zone 'UTC')::date as day, count(*) as n,
	count(distinct e.repo_id) as repositories, min(e.seq) as first_seq, max(e.seq) as last_seq
from hooklog.events e
group by 1, 2, 3, 4;
