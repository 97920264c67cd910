-- Values of custom properties, per repository. A value that was taken away is null.
--
-- provider: github
-- key: repo_id, name
-- rows: new_property_values[] on custom_property_values rank 1
create table repository_properties (
	repo_id bigint not null, -- = $.repository.id
	name    text not null, -- = property_name -- gh.custom_properties.name
	value   jsonb, -- = value -- value; null: taken away
	primary key (repo_id, name)
);
