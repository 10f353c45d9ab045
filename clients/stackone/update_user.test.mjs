// Reading and updating a user: absent, null and value told apart, and nothing applied twice.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startServer } from "../server.mjs";
import { BotUser, connect, errors } from "./connect.mjs";

let server, stackone, users;
before(async () => {
  server = await startServer();
  stackone = connect(server);
  users = server.sample.users;
});
after(() => server.stop());

test("getUser returns the user", async () => {
  const { user, etag } = await stackone.getUser(users[0].id);
  assert.equal(user.id, users[0].id);
  assert.equal(user.primaryEmailAddress, users[0].email);
  assert.equal(user.username, users[0].username);
  assert.match(etag, /^"[^"]+"$/, "a strong entity tag");
});

test("the sample holds Han Solo", async () => {
  const everybody = await Promise.all(users.map(({ id }) => connect(server).getUser(id)));
  const names = everybody.map(({ user }) => `${user.firstName} ${user.lastName}`);
  assert.ok(names.includes("Han Solo"), names.join(", "));
});

test("updateUser answers with the documented result", async () => {
  const { result } = await stackone.updateUser(users[0].id, { firstName: "Hannah" });
  assert.equal(result.statusCode, 200);
  assert.equal(result.message, "Record updated successfully.");
  assert.ok(result.timestamp instanceof Date);
});

test("a value replaces, null clears, what is absent stays", async () => {
  await stackone.updateUser(users[0].id, { firstName: "Ada", lastName: "Lovelace", name: "Ada Lovelace" });
  const { user: before } = await stackone.getUser(users[0].id);

  await stackone.updateUser(users[0].id, { firstName: "Augusta", lastName: null });
  const { user: after } = await stackone.getUser(users[0].id);
  assert.equal(after.firstName, "Augusta");
  assert.equal(after.lastName ?? null, null);
  assert.equal(after.primaryEmailAddress, before.primaryEmailAddress);
  assert.equal(after.username, before.username);
  assert.deepEqual(after.status, before.status);
});

test("an empty change is accepted and changes nothing", async () => {
  const { user: before, etag } = await stackone.getUser(users[1].id);
  const update = await stackone.updateUser(users[1].id, {});
  assert.equal(update.result.statusCode, 200);
  assert.equal(update.etag, etag);
  assert.deepEqual((await stackone.getUser(users[1].id)).user, before);
});

test("every status the provider has can be set", async () => {
  for (const value of ["disabled", "pending", "enabled"]) {
    await stackone.updateUser(users[0].id, { status: { value } });
    assert.equal((await stackone.getUser(users[0].id)).user.status.value, value);
  }
});

test("isBotUser is taken as a boolean and as a string", async () => {
  for (const [sent, read] of [[true, "true"], [false, "false"], [BotUser.True, "true"], [BotUser.False, "false"]]) {
    await stackone.updateUser(users[0].id, { isBotUser: sent });
    assert.equal(String((await stackone.getUser(users[0].id)).user.isBotUser), read);
  }
});

test("passthrough members are kept and shown as custom fields", async () => {
  await stackone.updateUser(users[0].id, { passthrough: { other_known_names: "John Doe", badge: 42 } });
  await stackone.updateUser(users[0].id, { passthrough: { badge: 43 } });
  const { user } = await stackone.getUser(users[0].id);
  assert.equal(user.unifiedCustomFields.other_known_names, "John Doe");
  assert.equal(user.unifiedCustomFields.badge, 43);
});

test("letters beyond ASCII survive", async () => {
  await stackone.updateUser(users[0].id, { firstName: "Zoë", lastName: "Żółć 李 🛰" });
  const { user } = await stackone.getUser(users[0].id);
  assert.equal(`${user.firstName} ${user.lastName}`, "Zoë Żółć 李 🛰");
});

test("If-Match lets the first writer through and stops the second", async () => {
  const { etag: seen } = await stackone.getUser(users[1].id);
  const options = { headers: { "If-Match": seen } };
  const first = await stackone.updateUser(users[1].id, { firstName: "First" }, options);
  assert.notEqual(first.etag, seen);

  const second = stackone.updateUser(users[1].id, { firstName: "Second" }, options);
  await assert.rejects(second, errors.PreconditionFailedResponse);
  const { user, etag } = await stackone.getUser(users[1].id);
  assert.equal(user.firstName, "First");
  assert.equal(etag, first.etag);
});

test("a repeated Idempotency-Key replays the answer and does not apply twice", async () => {
  const options = { headers: { "Idempotency-Key": crypto.randomUUID() } };
  const first = await stackone.updateUser(users[1].id, { lastName: "Once" }, options);
  await stackone.updateUser(users[1].id, { lastName: "Later" });

  const replay = await stackone.updateUser(users[1].id, { lastName: "Once" }, options);
  assert.deepEqual(replay.result, first.result);
  assert.equal((await stackone.getUser(users[1].id)).user.lastName, "Later");

  const other = stackone.updateUser(users[1].id, { lastName: "Other" }, options);
  await assert.rejects(other, errors.UnprocessableEntityResponse);
});
