// How an application talks to Patchbay with StackOne's own SDK: only `serverURL` differs.

const [{ HTTPClient, StackOne }, errors, { IamUpdateUserRequestDto2: BotUser }] = await Promise.all([
  import("@stackone/stackone-client-ts"),
  import("@stackone/stackone-client-ts/sdk/models/errors/index.js"),
  import("@stackone/stackone-client-ts/sdk/models/shared/index.js"),
]).catch((cause) => {
  throw new Error("the StackOne SDK is not installed: run `npm ci` in clients/stackone", { cause });
});

export { BotUser, errors };

export function connect(server, { key = server.sample.stackone.api_key, account = server.sample.stackone.account_id } = {}) {
  const http = new HTTPClient();
  const { iam } = new StackOne({
    serverURL: server.url,
    security: { username: key, password: "" },
    httpClient: http,
    // By default the SDK repeats a 408 or 429 for up to an hour before it tells the caller.
    retryConfig: { strategy: "none" },
  });

  let headers;
  http.addHook("response", (response) => {
    headers = response.headers;
  });

  return {
    http,
    /** `options` are the SDK's own per-call options, `{ headers: {...} }` for instance. */
    async getUser(id, options) {
      const { iamUserResult } = await iam.getUser({ xAccountId: account, id }, options);
      return { user: iamUserResult.data, headers, etag: headers.get("etag") };
    },
    async updateUser(id, change, options) {
      const { updateResult } = await iam.updateUser({ xAccountId: account, id, iamUpdateUserRequestDto: change }, options);
      return { result: updateResult, headers, etag: headers.get("etag") };
    },
    /** Sends this text in place of the body, for what the SDK itself refuses to send. */
    sendInstead(text) {
      http.addHook("beforeRequest", (request) => new Request(request, { body: text }));
    },
  };
}
