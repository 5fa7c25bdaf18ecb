import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { basic } from "@goldenpath/registry-client/auth-token";
import { createCredentialStore } from "@goldenpath/registry-client/credentials";
import type { Credential } from "@goldenpath/registry-client/docker-config";
import { isPlainHttpHost, isSameOrigin } from "@goldenpath/registry-client/endpoint";
import { plainHttpRules } from "@goldenpath/registry-client/host-settings";
import { parseRetryAfter } from "@goldenpath/registry-client/retry";
import { createTransport, type TransportOptions, type TransportResponse } from "@goldenpath/registry-client/transport";
import { describeAnswer } from "./answer.ts";
import { findProduct } from "./products/find.ts";
import type { ProductAnswer, ServerSideCall, ServerSidePlan } from "./products/product.ts";

/** A product's REST API, with the login of its host. */
export interface ProductApi {
  /**
   * Sends a call and gives the answer as text, whatever its status. A GET is tried again as everywhere; a POST is sent
   * once, since whoever sends it has to look first at what an unanswered one did.
   * @throws InfrastructureError `server-side-unanswered` (a POST without an answer), `server-side-failed` (a redirect
   *   to another host), and as the transport does; UserError `server-side-unauthorized` (401, 403)
   */
  send(call: ServerSideCall): Promise<ProductAnswer>;
  /** How often something is tried in all. */
  readonly attempts: number;
  wait(milliseconds: number): Promise<void>;
  close(): Promise<void>;
}

/** Far more than an answer about one image has. Bytes. */
const maxAnswerBytes = 1024 * 1024;

/**
 * Opens the API of the plan's product: over https, or over plain http on loopback and where the policy allows it for
 * the host.
 * @throws UserError `server-side-plain-http`, `server-side-unauthorized` (a login of a kind that the API does not
 *   take), `docker-config-invalid`, `credential-helper-failed`, `proxy-invalid`
 */
export async function openProductApi(plan: ServerSidePlan, options: TransportOptions): Promise<ProductApi> {
  const base = new URL(plan.url);
  if (base.protocol !== "https:" && !isPlainHttpHost(base.host, plainHttpRules(options))) {
    throw new UserError(`the policy's serverSide.url is '${plan.url}': its login would go over plain http`, {
      code: "server-side-plain-http",
      wayOut: `Write https, or list ${base.host} in registries.plainHttp of the policy.`,
    });
  }
  const login = await findLogin(plan, base, options);
  const authorization: Record<string, string> =
    login === undefined ? {} : { authorization: authorize(login, base.host) };
  const transport = createTransport(options);
  return {
    attempts: transport.attempts,
    wait: (milliseconds) => transport.wait(milliseconds),
    close: () => transport.close(),
    async send(call) {
      const url = new URL(call.url);
      let response: TransportResponse;
      try {
        response = await transport.send({
          method: call.method,
          url,
          headers: {
            accept: "application/json, text/plain",
            ...authorization,
            ...(call.body === undefined ? {} : { "content-type": "application/json" }),
          },
          ...(call.body === undefined ? {} : { body: new TextEncoder().encode(JSON.stringify(call.body)) }),
          ...(call.method === "POST" ? { attempts: 1, anyStatus: true } : {}),
          readUpTo: maxAnswerBytes,
        });
      } catch (error) {
        if (!(error instanceof InfrastructureError)) throw error;
        if (call.method === "POST" && error.code === "registry-unreachable") throw unanswered(plan, error);
        if (error.code === "redirect-refused") throw redirected(plan, error.message, error);
        throw error;
      }
      if (!isSameOrigin(response.url, url)) {
        await response.discard();
        throw redirected(plan, `it sends on to ${response.url.host}, where nobody is logged in`);
      }
      if (response.status === 401 || response.status === 403)
        throw unauthorized(plan, base, response, login !== undefined);
      const retryAfter = parseRetryAfter(response.header("retry-after"), new Date());
      return {
        status: response.status,
        text: new TextDecoder().decode(response.bytes),
        ...(retryAfter === undefined ? {} : { retryAfter }),
      };
    },
  };
}

/**
 * The login of the API's own host; where there is none, that of the destination's registry if it is the same host at
 * another port, since docker login can't log in to a port that serves no images. The policy, which names both, says
 * that they are one product.
 */
async function findLogin(plan: ServerSidePlan, base: URL, options: TransportOptions): Promise<Credential | undefined> {
  const store = createCredentialStore(options);
  const own = await store.find({ registry: base.host, name: plan.toKey.toLowerCase() });
  if (own !== undefined) return own;
  const registry = URL.parse(`${base.protocol}//${plan.to.registry}`);
  return registry?.hostname === base.hostname ? store.find(plan.to) : undefined;
}

function authorize(login: Credential, host: string): string {
  if (login.kind === "basic") return basic(login.username, login.password);
  if (login.kind === "registry-token") return `Bearer ${login.token}`;
  throw new UserError(`the login for ${host} is an identity token, which only a registry's token service takes`, {
    code: "server-side-unauthorized",
    wayOut: `Log in with a name and a password or access token: docker login ${host}`,
  });
}

function redirected(plan: ServerSidePlan, why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`${findProduct(plan.product).title} does not answer at ${plan.url}: ${why}`, {
    code: "server-side-failed",
    cause,
    safeToRetry: false,
    wayOut: "Write the address that answers in serverSide.url of the policy.",
  });
}

function unanswered({ product, image, url }: ServerSidePlan, cause: Error): InfrastructureError {
  return new InfrastructureError(
    `${findProduct(product).title} at ${url} gives no answer on the promotion of ${image}: ${cause.message}`,
    {
      code: "server-side-unanswered",
      cause,
      wayOut: "Run the promotion again: it looks first at what is at the destination.",
    },
  );
}

function unauthorized(plan: ServerSidePlan, base: URL, response: TransportResponse, isLoggedIn: boolean): UserError {
  const said = describeAnswer({ status: response.status, text: new TextDecoder().decode(response.bytes) });
  const who = isLoggedIn ? "the login that is there" : "nobody who is not logged in";
  return new UserError(
    `${findProduct(plan.product).title} at ${plan.url} lets ${who} promote from ${plan.fromKey} to ${plan.toKey} ${said}`,
    {
      code: "server-side-unauthorized",
      wayOut: `Log in with an account that may promote between the two: docker login ${base.host}`,
    },
  );
}
