-- The movements of one hold, capture and release, as few bare statements as they need, each prepared once (frozen).
-- Same tables, constraints, triggers and durability as our operations; no idempotency look-up, no choice of lots.

-- name: lock_wallet
SELECT debt_usage_account_id FROM wallet WHERE id = %(wallet)s FOR UPDATE
-- name: lot
SELECT l.id, l.available_account_id, l.held_account_id FROM lot l JOIN ledger_account a ON a.id = l.available_account_id
WHERE l.wallet_id = %(wallet)s AND a.balance_ucr > 0 AND l.expires_at > %(now)s ORDER BY l.priority, l.expires_at, l.id LIMIT 1
-- name: widen
UPDATE ledger_account SET lower_bound_ucr = lower_bound_ucr - %(room)s WHERE id = %(debt)s
-- name: insert_meter
INSERT INTO meter (id, session_id, generation, wallet_id, charge_class, usage_account_id, label, state, authorised_at, body_digest, proven_s, windows_end_at,
    window_count, capture_count, booked_s, booked_ucr, debt_room_ucr, debt_ucr, written_off_ucr, corrected_ucr, due_at)
VALUES (%(meter)s, %(session)s, 1, %(wallet)s, 'bench', %(usage)s, 'bench', 'open', %(now)s, '', 0, %(ends)s, 1, 0, 0, 0, %(room)s, 0, 0, 0, %(ends)s)
-- name: insert_segment
INSERT INTO meter_segment (meter_id, segment, starts_s, rate_ucr_per_hour) VALUES (%(meter)s, 0, 0, %(rate)s)
-- name: insert_hold
INSERT INTO hold (id, meter_id, wallet_id, window_number, segment, starts_at, ends_at, is_late, amount_ucr, captured_ucr, released_ucr, state, placed_at)
VALUES (%(hold)s, %(meter)s, %(wallet)s, 1, 0, %(now)s, %(ends)s, false, %(amount)s, 0, 0, 'open', %(now)s)
-- name: insert_share
INSERT INTO hold_share (hold_id, position, lot_id, amount_ucr, captured_ucr, released_ucr) VALUES (%(hold)s, 0, %(lot)s, %(amount)s, 0, 0)
-- name: insert_transaction
INSERT INTO ledger_transaction (id, key, operation, body_digest, result, booked_at, actor_label, wallet_id, meter_id, hold_id)
VALUES (%(id)s, %(key)s, %(operation)s, '', '{}', %(now)s, 'bench', %(wallet)s, %(meter)s, %(hold)s)
-- name: insert_capture
INSERT INTO ledger_transaction (id, key, operation, body_digest, result, booked_at, actor_label, wallet_id, meter_id, hold_id, segment, from_s, until_s)
VALUES (%(id)s, %(key)s, 'capture', '', '{}', %(now)s, 'bench', %(wallet)s, %(meter)s, %(hold)s, 0, 0, %(seconds)s)
-- name: move
UPDATE ledger_account SET balance_ucr = balance_ucr + %(amount)s, version = version + 1 WHERE id = %(account)s RETURNING version, balance_ucr
-- name: insert_two
INSERT INTO ledger_entry (transaction_id, account_id, amount_ucr, account_version, balance_after_ucr)
VALUES (%(id)s, %(one)s, %(one_amount)s, %(one_version)s, %(one_after)s), (%(id)s, %(two)s, %(two_amount)s, %(two_version)s, %(two_after)s)
-- name: meter
SELECT m.id, m.wallet_id, h.id AS hold_id FROM meter m JOIN hold h ON h.meter_id = m.id WHERE m.session_id = %(session)s
-- name: close_hold
UPDATE hold SET captured_ucr = %(captured)s, released_ucr = %(released)s, state = 'closed' WHERE id = %(hold)s
-- name: close_share
UPDATE hold_share SET captured_ucr = %(captured)s, released_ucr = %(released)s WHERE hold_id = %(hold)s
-- name: close_meter
UPDATE meter SET state = 'settled', started_at = %(began)s, proven_s = %(seconds)s, last_seen_at = %(now)s, recorded_at = %(now)s, ended_at = %(now)s,
    closed_at = %(now)s, capture_count = 1, booked_s = %(seconds)s, booked_ucr = %(captured)s, due_at = NULL WHERE id = %(meter)s
