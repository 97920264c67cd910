-- Events per source, type, action and day, with the numbers of the first and last of them.
create or replace view gh_metrics.event_counts as
select e.source, e.event, e.action, (e.received_at at time zone 'UTC')::date as day, count(*) as n,
	count(distinct e.repo_id) as repositories, min(e.seq) as first_seq, max(e.seq) as last_seq
from hooklog.events e
group by 1, 2, 3, 4;
comment on column gh_metrics.event_counts.source is 'endpoint it came in by';
comment on column gh_metrics.event_counts.event is 'type';
comment on column gh_metrics.event_counts.action is 'what was done';
comment on column gh_metrics.event_counts.day is 'day, in UTC';
comment on column gh_metrics.event_counts.n is 'how many the row is made of';
comment on column gh_metrics.event_counts.repositories is 'how many repositories they are of';
comment on column gh_metrics.event_counts.first_seq is 'number of the first event';
comment on column gh_metrics.event_counts.last_seq is 'number of the last event';
