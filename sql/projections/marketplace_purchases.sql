-- What accounts bought of a Marketplace app; a cancelled purchase has deleted_at. Changes that are only
-- announced are in events.
--
-- provider: github
-- key: account_id
-- rows: marketplace_purchase on marketplace_purchase rank 1 where $.action='purchased'
-- rows: marketplace_purchase on marketplace_purchase rank 1 where $.action='changed'
-- rows: marketplace_purchase on marketplace_purchase rank 1 where $.action='cancelled'
-- delete: marketplace_purchase.cancelled
create table marketplace_purchases (
	account_id         bigint primary key, -- = account.id
	account_login      text, -- = account.login
	account_type       text, -- = account.type
	plan_id            bigint, -- = plan.id
	plan_name          text, -- = plan.name
	price_model        text, -- = plan.price_model
	monthly_cents      bigint, -- = plan.monthly_price_in_cents
	billing_cycle      text, -- = billing_cycle
	unit_count         bigint, -- = unit_count
	on_free_trial      boolean, -- = on_free_trial
	free_trial_ends_at timestamptz, -- = free_trial_ends_on
	next_billing_at    timestamptz, -- = next_billing_date
	effective_at       timestamptz -- = $.effective_date
);
