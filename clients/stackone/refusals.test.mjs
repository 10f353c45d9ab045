// Every refusal of a user call arrives as the SDK's own typed error.
// 408, 412 of a disabled account, 429, 501 and 502 need a remote system: linked_account.test.mjs.
// 500 has no test: no request may cause one, so there is nothing to send.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { startServer } from "../server.mjs";
import { connect, errors } from "./connect.mjs";

let server, users;
before(async () => {
  server = await startServer();
  users = server.sample.users;
});
after(() => server.stop());

/** The typed error, whose envelope must agree with the status line. */
async function refused(call, type, status) {
  const error = await call.then(() => assert.fail(`expected ${type.name}`), (reason) => reason);
  assert.ok(error instanceof type, `expected ${type.name}, got ${error}`);
  assert.equal(error.statusCode, status);
  const envelope = JSON.parse(error.body);
  assert.equal(envelope.statusCode, status);
  assert.equal(envelope.message, error.message);
  assert.ok(!Number.isNaN(Date.parse(envelope.timestamp)));
  return error;
}

test("400: no x-account-id", async () => {
  const stackone = connect(server);
  stackone.http.addHook("beforeRequest", (request) => request.headers.delete("x-account-id"));
  await refused(stackone.getUser(users[0].id), errors.BadRequestResponse, 400);
  await refused(stackone.updateUser(users[0].id, { firstName: "X" }), errors.BadRequestResponse, 400);
});

test("400: the body is not JSON", async () => {
  for (const text of ["", "{", '{"first_name": "X"} trailing', "first_name=X"]) {
    const stackone = connect(server);
    stackone.sendInstead(text);
    await refused(stackone.updateUser(users[0].id, {}), errors.BadRequestResponse, 400);
  }
});

test("401: a wrong key, and none", async () => {
  for (const key of ["v1.eu1.wrong", ""]) {
    const stackone = connect(server, { key });
    await refused(stackone.getUser(users[0].id), errors.UnauthorizedResponse, 401);
    await refused(stackone.updateUser(users[0].id, { firstName: "X" }), errors.UnauthorizedResponse, 401);
  }
});

test("403: a read-only key reads and does not write", async () => {
  const reader = connect(server, { key: server.sample.stackone.read_only_key });
  const { user: before } = await reader.getUser(users[0].id);
  await refused(reader.updateUser(users[0].id, { firstName: "X" }), errors.ForbiddenResponse, 403);
  assert.deepEqual((await reader.getUser(users[0].id)).user, before);
});

test("404: no such user, no such account", async () => {
  const stackone = connect(server);
  for (const id of [randomUUID(), "no-such-user", "a/b ż"]) {
    await refused(stackone.getUser(id), errors.NotFoundResponse, 404);
    await refused(stackone.updateUser(id, { firstName: "X" }), errors.NotFoundResponse, 404);
  }
  const elsewhere = connect(server, { account: "45355976281015164504" });
  await refused(elsewhere.getUser(users[0].id), errors.NotFoundResponse, 404);
  await refused(elsewhere.updateUser(users[0].id, { firstName: "X" }), errors.NotFoundResponse, 404);
});

test("409: the username belongs to somebody else, in any case of letters", async () => {
  const stackone = connect(server);
  for (const username of [users[1].username, users[1].username.toUpperCase()]) {
    await refused(stackone.updateUser(users[0].id, { username, firstName: "X" }), errors.ConflictResponse, 409);
  }
  const { user } = await stackone.getUser(users[0].id);
  assert.equal(user.username, users[0].username);
  assert.notEqual(user.firstName, "X", "nothing is half applied");
});

test("412: a stale If-Match", async () => {
  const change = connect(server).updateUser(users[0].id, { firstName: "X" }, { headers: { "If-Match": '"stale"' } });
  await refused(change, errors.PreconditionFailedResponse, 412);
});

test("413: a body beyond the limit, which the SDK knows only as SDKError", async () => {
  const passthrough = { filler: "x".repeat(8 * 1024 * 1024) };
  const error = await connect(server).updateUser(users[0].id, { passthrough }).catch((reason) => reason);
  assert.ok(error instanceof errors.SDKError, String(error));
  assert.equal(error.statusCode, 413);
  assert.equal(JSON.parse(error.body).statusCode, 413);
});

test("422: a status the provider does not have is named", async () => {
  const change = connect(server).updateUser(users[0].id, { status: { value: "hibernating" } });
  const error = await refused(change, errors.UnprocessableEntityResponse, 422);
  assert.match(error.message, /hibernating/);
});

test("422: a member of the wrong type is named", async () => {
  for (const [member, value] of [["first_name", 7], ["status", "enabled"], ["is_bot_user", "TRUE"], ["passthrough", []]]) {
    const stackone = connect(server);
    stackone.sendInstead(JSON.stringify({ [member]: value }));
    const error = await refused(stackone.updateUser(users[0].id, {}), errors.UnprocessableEntityResponse, 422);
    assert.match(error.message, new RegExp(member));
  }
});
