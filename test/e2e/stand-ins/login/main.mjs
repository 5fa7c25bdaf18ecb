import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { env } from "node:process";

const { INPUT_REGISTRY: registry, INPUT_USERNAME: username, INPUT_PASSWORD: password } = env;
if (!registry || !username || !password) throw new Error("registry, username and password are required");
const directory = join(env.RUNNER_TEMP, "docker");
const file = join(directory, "config.json");
mkdirSync(directory, { recursive: true, mode: 0o700 });
const config = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { auths: {} };
config.auths[registry] = { auth: Buffer.from(`${username}:${password}`).toString("base64") };
writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
appendFileSync(env.GITHUB_ENV, `DOCKER_CONFIG=${directory}\n`);
console.log(`logged in to ${registry} as ${username}`);
