// Starts the real `patchbay` binary on a fresh sample directory, and stops it again.

import { execFile, spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const repository = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);
const START_MS = 30_000;
const STOP_MS = 15_000;

function binary() {
  const named = process.env.PATCHBAY_BIN;
  const places = named
    ? [resolve(named)]
    : ["release", "debug"].map((profile) => join(repository, "target", profile, "patchbay"));
  const found = places.find((place) => existsSync(place));
  if (found) return found;
  throw new Error(`no patchbay binary at ${places.join(" or ")}: build it with \`cargo build --release\``);
}

/** `settings` are PATCHBAY_... environment variables. */
export async function startServer(settings = {}) {
  const program = binary();
  const folder = mkdtempSync(join(tmpdir(), "patchbay-clients-"));
  const data = join(folder, "data");
  // The caller's own PATCHBAY_ variables and the configuration file of the current folder
  // must not change what the tests see.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("PATCHBAY_"));
  const place = { cwd: folder, env: { ...Object.fromEntries(inherited), ...settings } };
  const patchbay = async (...args) => (await run(program, args, place)).stdout;

  const sample = JSON.parse(await patchbay("init", "--data", data, "--sample", "--json"));
  const address = `127.0.0.1:${await freePort()}`;
  const log = join(folder, "server.log");
  const output = openSync(log, "w");
  const child = spawn(program, ["serve", "--data", data, "--listen", address], {
    ...place,
    stdio: ["ignore", output, output],
  });
  closeSync(output);

  const stop = async () => {
    const killer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    clearTimeout(killer);
    const ending = readFileSync(log, "utf8").slice(-4000);
    rmSync(folder, { recursive: true });
    if (child.exitCode !== 0 && child.signalCode !== "SIGTERM") {
      throw new Error(`patchbay ended with ${child.exitCode ?? child.signalCode}; its log:\n${ending}`);
    }
  };

  const url = `http://${address}`;
  if (!(await becomesHealthy(url, child))) {
    const ending = readFileSync(log, "utf8").slice(-4000);
    await stop().catch(() => {});
    throw new Error(`patchbay did not become healthy; its log:\n${ending}`);
  }

  return {
    url,
    sample,
    stop,
    /** Connects the tenant to a remote identity system; the id is what `x-account-id` selects. */
    async addAccount({ dialect, baseUrl, secret, settings: accountSettings = {} }) {
      const secretFile = join(folder, "secret");
      writeFileSync(secretFile, secret, { mode: 0o600 });
      const options = Object.entries(accountSettings).flatMap(([name, value]) => ["--setting", `${name}=${value}`]);
      const printed = await patchbay("account", "add", "--data", data, "--dialect", dialect,
        "--base-url", baseUrl, "--secret-file", secretFile, ...options, "--json");
      return JSON.parse(printed).id;
    },
    disableAccount: (id) => patchbay("account", "disable", "--data", data, id),
  };
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

async function becomesHealthy(url, child) {
  const deadline = Date.now() + START_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    const status = await fetch(`${url}/healthz`).then((answer) => answer.status, () => 0);
    if (status === 200) return true;
    await sleep(50);
  }
  return false;
}
