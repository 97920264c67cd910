-- Places where a secret was found, one row per event.
--
-- provider: github
-- kind: fact
-- key: seq
-- rows: . on secret_scanning_alert_location where location
create table security_alert_locations (
	seq          bigint primary key, -- = @seq
	received_at  timestamptz not null, -- = @received_at
	repo_id      bigint, -- = repository.id
	alert_number bigint, -- = alert.number -- gh.security_alerts.number
	type         text, -- = location.type
	path         text, -- = location.details.path
	start_line   bigint, -- = location.details.start_line -- first line
	end_line     bigint, -- = location.details.end_line -- last line
	blob_sha     text, -- = location.details.blob_sha -- hash of the file
	commit_sha   text, -- = location.details.commit_sha
	details      jsonb -- = location.details -- GitHub's object
);

create index security_alert_locations_alert on security_alert_locations (repo_id, alert_number);
