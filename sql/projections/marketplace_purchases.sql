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
	account_id         bigint primary key, -- = account.id -- account that bought
	account_login      text, -- = account.login -- name of the account
	account_type       text, -- = account.type -- User, Organization or Enterprise
	plan_id            bigint, -- = plan.id -- plan that was bought
	plan_name          text, -- = plan.name -- name of the plan
	price_model        text, -- = plan.price_model -- how the plan is paid
	monthly_cents      bigint, -- = plan.monthly_price_in_cents -- price of a month in cents
	billing_cycle      text, -- = billing_cycle -- monthly or yearly
	unit_count         bigint, -- = unit_count -- units that were bought
	on_free_trial      boolean, -- = on_free_trial -- the plan is on trial
	free_trial_ends_at timestamptz, -- = free_trial_ends_on -- when the trial ends
	next_billing_at    timestamptz, -- = next_billing_date -- when it is paid next
	effective_at       timestamptz -- = $.effective_date -- when the change takes effect
);
