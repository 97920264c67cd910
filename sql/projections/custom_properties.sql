-- Definitions of custom properties, by the organization or enterprise that made them.
--
-- provider: github
-- key: owner_kind, owner_id, name
-- rows: definition on custom_property rank 1
-- delete: custom_property.deleted
create table custom_properties (
	owner_kind         text not null, -- = $.organization.id => 'organization' | $.enterprise.id => 'enterprise' -- organization or enterprise
	owner_id           bigint not null, -- = $.organization.id | $.enterprise.id -- of that organization or enterprise
	name               text not null, -- = property_name
	value_type         text, -- = value_type -- kind of its values
	source_type        text, -- = source_type -- Repository, Organization or Enterprise
	required           boolean, -- = required -- every repository has a value
	default_value      jsonb, -- = default_value -- value of repositories without one
	description        text, -- = description
	allowed_values     text[], -- = allowed_values -- values to choose from
	values_editable_by text, -- = values_editable_by -- who may set it
	primary key (owner_kind, owner_id, name)
);
