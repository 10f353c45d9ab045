// `Prefer: heartbeat` keeps a slow call alive with newlines until the answer is there.
// SDK 4.28.0 has no argument for it and takes the header as a call option.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { startServer } from "../server.mjs";
import { connect, errors } from "./connect.mjs";
import { PERSON, startVendor } from "./vendor.mjs";

const heartbeat = { headers: { Prefer: "heartbeat" } };

let server;
before(async () => {
  server = await startServer({
    PATCHBAY_OUTBOUND__ALLOW_PRIVATE: "true",
    PATCHBAY_OUTBOUND__TIMEOUT_MS: "60000",
  });
});
after(() => server.stop());

test("a fast call ends as it would without the header", async () => {
  const stackone = connect(server);
  const [{ id }] = server.sample.users;
  const { result } = await stackone.updateUser(id, { firstName: "Quick" }, heartbeat);
  assert.equal(result.statusCode, 200);
  assert.equal((await stackone.getUser(id, heartbeat)).user.firstName, "Quick");
});

test("a fast refusal keeps its true status", async () => {
  const stackone = connect(server);
  await assert.rejects(stackone.getUser(randomUUID(), heartbeat), errors.NotFoundResponse);
  await assert.rejects(stackone.updateUser(randomUUID(), { firstName: "X" }, heartbeat), errors.NotFoundResponse);
});

/**
 * A call to a vendor that answers only once the caller has seen a response begin: the
 * heartbeat alone lets it end, whatever the interval is.
 */
async function slowCall(context, answer) {
  let begin;
  const begun = new Promise((resolve) => { begin = resolve; });
  const vendor = await startVendor(async (request, reply) => {
    await begun;
    answer(request, reply);
  });
  context.after(() => vendor.stop());
  const account = await server.addAccount({ dialect: "nerm", baseUrl: vendor.baseUrl, secret: "ne-VendorKey" });
  const stackone = connect(server, { account });
  let text;
  stackone.http.addHook("response", (response) => {
    text = response.clone().text();
    begin();
  });
  const { result, headers } = await stackone.updateUser(PERSON.id, { status: { value: "disabled" } }, heartbeat);
  return { result, headers, text: await text };
}

describe("a slow call", { concurrency: true }, () => {
  test("is kept alive by newlines and ends with the result", async (context) => {
    const { result, headers, text } = await slowCall(context, (_, reply) =>
      reply(200, { user: { ...PERSON, status: "Disabled" } }));
    assert.equal(headers.get("preference-applied"), "heartbeat");
    assert.match(text, /^\n+\{.*\}\s*$/s);
    assert.equal(result.statusCode, 200);
  });

  // The status line is gone by then, so the failure is in the body: look at `statusCode`.
  test("that fails late says so in the body, which is still JSON", async (context) => {
    const { result, headers } = await slowCall(context, (_, reply) => reply(500, { error: "Sorry something went wrong" }));
    assert.equal(headers.get("preference-applied"), "heartbeat");
    assert.equal(result.statusCode, 502);
  });
});
