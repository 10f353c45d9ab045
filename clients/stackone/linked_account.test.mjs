// StackOne's SDK in front, SailPoint NERM behind: `x-account-id` selects the linked account.
// The remote system is a small local server, so that it can be slow, broken or busy on demand.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startServer } from "../server.mjs";
import { connect, errors } from "./connect.mjs";
import { PERSON, startVendor } from "./vendor.mjs";

let server;
before(async () => {
  server = await startServer({
    // The vendor listens on loopback, which Patchbay refuses to call unless told otherwise.
    PATCHBAY_OUTBOUND__ALLOW_PRIVATE: "true",
    PATCHBAY_OUTBOUND__TIMEOUT_MS: "500",
  });
});
after(() => server.stop());

/** A StackOne client whose account is the vendor that answers this way. */
async function linked(context, answer) {
  const vendor = await startVendor(answer);
  context.after(() => vendor.stop());
  const account = await server.addAccount({ dialect: "nerm", baseUrl: vendor.baseUrl, secret: "ne-VendorKey" });
  return { vendor, account, stackone: connect(server, { account }) };
}

const written = (vendor) => vendor.requests.filter(({ method }) => method === "PATCH");

test("a user of the remote system is read and updated, only the change is sent", async (context) => {
  const { vendor, stackone } = await linked(context);
  const { user } = await stackone.getUser(PERSON.id);
  assert.equal(user.primaryEmailAddress, PERSON.email);
  assert.equal(user.status.value, "enabled");

  const { result } = await stackone.updateUser(PERSON.id, { status: { value: "disabled" } });
  assert.equal(result.statusCode, 200);
  const [{ headers, body }] = written(vendor);
  assert.equal(headers.authorization, "Bearer ne-VendorKey");
  assert.equal(body.user.status, "Disabled");
  assert.ok(!("name" in body.user) && !("email" in body.user), JSON.stringify(body));
  assert.equal((await stackone.getUser(PERSON.id)).user.status.value, "disabled");
});

test("404: the remote system does not know the user", async (context) => {
  const { stackone } = await linked(context);
  await assert.rejects(stackone.getUser("3d0f1348-612a-4804-b632-24c4b871e76e"), errors.NotFoundResponse);
});

test("408: the remote system does not answer in time", async (context) => {
  const { stackone } = await linked(context, () => {});
  for (const call of [() => stackone.getUser(PERSON.id), () => stackone.updateUser(PERSON.id, { name: "Leia" })]) {
    const error = await call().catch((reason) => reason);
    assert.ok(error instanceof errors.RequestTimedOutResponse, String(error));
    assert.match(error.headers.get("retry-after"), /^[1-9][0-9]*$/, "whole seconds, or the SDK guesses");
  }
});

test("412: the linked account is disabled, nothing is sent to the remote system", async (context) => {
  const { vendor, account, stackone } = await linked(context);
  await server.disableAccount(account);
  await assert.rejects(stackone.getUser(PERSON.id), errors.PreconditionFailedResponse);
  await assert.rejects(stackone.updateUser(PERSON.id, { name: "Leia" }), errors.PreconditionFailedResponse);
  assert.deepEqual(vendor.requests, []);
});

test("429: the remote system is busy, and says for how long", async (context) => {
  const { stackone } = await linked(context, (_, reply) => reply(429, { error: "slow down" }, { "retry-after": "30" }));
  const error = await stackone.getUser(PERSON.id).catch((reason) => reason);
  assert.ok(error instanceof errors.TooManyRequestsResponse, String(error));
  assert.match(error.headers.get("retry-after"), /^[1-9][0-9]*$/);
});

test("422: NERM has no notion of a bot user, and nothing is dropped in silence", async (context) => {
  const { vendor, stackone } = await linked(context);
  const error = await stackone.updateUser(PERSON.id, { isBotUser: true, name: "Leia" }).catch((reason) => reason);
  assert.ok(error instanceof errors.UnprocessableEntityResponse, String(error));
  assert.match(error.message, /is_bot/);
  assert.deepEqual(written(vendor), []);
});

test("412: the remote user is not what If-Match requires", async (context) => {
  const { vendor, stackone } = await linked(context);
  const change = stackone.updateUser(PERSON.id, { name: "Leia" }, { headers: { "If-Match": '"1"' } });
  await assert.rejects(change, errors.PreconditionFailedResponse);
  assert.deepEqual(written(vendor), []);
});

test("501: the remote system does not know the operation", async (context) => {
  const { stackone } = await linked(context, (_, reply) => reply(501, { error: "not here" }));
  await assert.rejects(stackone.getUser(PERSON.id), errors.NotImplementedResponse);
  await assert.rejects(stackone.updateUser(PERSON.id, { name: "Leia" }), errors.NotImplementedResponse);
});

for (const [what, answer] of [
  ["fails", (_, reply) => reply(500, { error: "Sorry something went wrong" })],
  ["answers with a web page", (_, reply) => reply(200, "<html><body>Maintenance</body></html>")],
  ["answers with half a document", (_, reply) => reply(200, '{"user": {', { "content-type": "application/json" })],
]) {
  test(`502: the remote system ${what}`, async (context) => {
    const { stackone } = await linked(context, answer);
    await assert.rejects(stackone.getUser(PERSON.id), errors.BadGatewayResponse);
    await assert.rejects(stackone.updateUser(PERSON.id, { name: "Leia" }), errors.BadGatewayResponse);
  });
}

test("502: what the remote system said is attached", async (context) => {
  const { stackone } = await linked(context, (_, reply) => reply(500, { error: "Sorry something went wrong" }));
  const error = await stackone.getUser(PERSON.id).catch((reason) => reason);
  assert.ok(error instanceof errors.BadGatewayResponse, String(error));
  assert.equal(JSON.parse(error.body).provider_errors[0].status, 500);
});

test("502: nobody listens at the remote address", async (context) => {
  const { vendor, stackone } = await linked(context);
  vendor.stop();
  await assert.rejects(stackone.getUser(PERSON.id), errors.BadGatewayResponse);
});
