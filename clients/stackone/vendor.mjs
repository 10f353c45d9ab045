// A remote identity system under the test's control: a small NERM that answers as it is told.

import { once } from "node:events";
import { createServer } from "node:http";

export const PERSON = {
  id: "db6f8e8b-65c2-47d5-a0db-90bcc4e9df9e",
  uid: "a25e6cd522264643bd3d49fc69c7d0ec",
  type: "NeprofileUser",
  name: "Leia Organa",
  email: "leia@example.com",
  title: "General",
  status: "Active",
  login: "leia",
};

/** `answer(request, reply)` decides; without it the vendor holds PERSON and applies changes to it. */
export async function startVendor(answer) {
  const requests = [];
  const person = { ...PERSON };
  const behave = answer ?? ((request, reply) => {
    if (!request.path.endsWith(`/users/${person.id}`)) return reply(404, { error: "not found" });
    if (request.method === "PATCH") Object.assign(person, request.body.user);
    reply(200, { user: person });
  });

  const server = createServer(async (incoming, outgoing) => {
    let text = "";
    for await (const chunk of incoming) text += chunk;
    const request = {
      method: incoming.method,
      path: incoming.url,
      headers: incoming.headers,
      body: text && JSON.parse(text),
    };
    requests.push(request);
    const reply = (status, body, headers = {}) => {
      const json = typeof body === "object";
      outgoing.writeHead(status, { "content-type": json ? "application/json" : "text/html", ...headers });
      outgoing.end(json ? JSON.stringify(body) : body);
    };
    await behave(request, reply);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    baseUrl: `http://127.0.0.1:${server.address().port}/api`,
    requests,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
