import { randomBytes } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import type { HostSettings } from "../client.ts";
import { registryEndpoint } from "../endpoint.ts";
import { plainHttpRules } from "../host-settings.ts";
import { parseRepository, type Repository } from "../oci/reference.ts";

/** Which registry is probed, and where in it the probe may write. */
export interface ProbeTarget {
  /** `host[:port]` */
  registry: string;
  /** Everything that is written goes here… */
  repository: Repository;
  /** …but for the blob that is mounted from another repository. */
  mountSource: Repository;
  endpoint: URL;
  /** Marks everything that this run makes. */
  id: string;
  plainHttp: readonly string[];
  hosts: Readonly<Record<string, HostSettings>>;
}

/**
 * `HOST[:PORT][/PREFIX]`, or the same as an http or https URL → the target. Nothing is ever written outside of
 * `PREFIX/goldenpath-probe-ID` (and `…-from`), or of `repository`, where that is given: the whole name of one in this
 * registry.
 * @throws UserError `probe-target-invalid`
 */
export function parseProbeTarget(
  text: string,
  options: { repository?: string; plainHttp?: boolean; id?: string; settings?: HostSettings } = {},
): ProbeTarget {
  const fail = (why: string): never => {
    throw new UserError(`the registry '${text}' cannot be probed: ${why}`, {
      code: "probe-target-invalid",
      wayOut: "Write it as HOST[:PORT][/PREFIX], or as http(s)://HOST[:PORT][/PREFIX].",
    });
  };
  const [, scheme = "", rest = ""] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/is.exec(text) ?? [];
  if (!["", "http", "https"].includes(scheme.toLowerCase())) return fail(`${scheme} is neither http nor https`);
  if (/[@?#\s]/.test(rest)) return fail("there is more in it than a host and a prefix");
  const path = rest.replace(/\/+$/, "");
  const slash = path.indexOf("/");
  const host = (slash === -1 ? path : path.slice(0, slash)).toLowerCase();
  const prefix = slash === -1 ? "" : `${path.slice(slash + 1)}/`;
  // Without one of these a first component is a path on Docker Hub, by the grammar of references.
  if (!/[.:]/.test(host) && host !== "localhost") return fail(`'${host}' has neither a dot nor a port`);
  const id = options.id ?? randomBytes(5).toString("hex");
  const parse = (name: string): Repository => {
    try {
      return parseRepository(`${host}/${name}`);
    } catch (error) {
      return fail(error instanceof Error ? error.message : String(error));
    }
  };
  const own = `${prefix}goldenpath-probe-${id}`;
  const repository = parse(options.repository ?? own);
  const mountSource = parse(
    options.repository === undefined ? `${own}-from` : `${options.repository}/goldenpath-probe-${id}-from`,
  );
  const plainHttp = options.plainHttp === true || scheme.toLowerCase() === "http" ? [host] : [];
  const { settings = {} } = options;
  if (plainHttp.length > 0 && (settings.ca !== undefined || settings.skipVerify === true))
    return fail("plain http has no certificates, and settings for them are given");
  const hosts = { [repository.registry]: settings };
  const endpoint = registryEndpoint(repository.registry, plainHttpRules({ plainHttp, hosts }));
  if (scheme.toLowerCase() === "https" && endpoint.protocol !== "https:")
    return fail(
      "plain http is spoken to localhost, unless there are settings for its certificates (--ca, --skip-verify)",
    );
  return { registry: repository.registry, repository, mountSource, endpoint, id, plainHttp, hosts };
}
