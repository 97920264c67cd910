-- Definitions of custom properties, by the organization or enterprise that made them.
--
-- provider: github
-- key: owner_kind, owner_id, name
-- rows: definition on custom_property rank 1
-- delete: custom_property.deleted
create table custom_properties (
	owner_kind         text not null, -- = $.organization.id => 'organization' | $.enterprise.id => 'enterprise'
	owner_id           bigint not null, -- = $.organization.id | $.enterprise.id
	name               text not null, -- = property_name
	value_type         text, -- = value_type
	source_type        text, -- = source_type
	required           boolean, -- = required
	default_value      jsonb, -- = default_value
	description        text, -- = description
	allowed_values     text[], -- = allowed_values
	values_editable_by text, -- = values_editable_by
	primary key (owner_kind, owner_id, name)
);
