-- Nothing is looked up by these: a role is in the user's or credential's own document.

ALTER TABLE users DROP COLUMN role;
ALTER TABLE credentials DROP COLUMN user;
ALTER TABLE credentials DROP COLUMN role;
