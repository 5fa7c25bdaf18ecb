import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { cleanLine, hideTokens } from "@goldenpath/foundation/text/clean";
import { readAnswerAs } from "@goldenpath/foundation/text/json";
import { createTransport, type TransportResponse } from "@goldenpath/registry-client/transport";
import { z } from "zod";

/** What a registry is shown. */
export interface Login {
  username: string;
  password: string;
  /** Milliseconds since 1970; a new one is asked for before that. */
  until: number;
}

export interface Service {
  name: string;
  method?: "GET" | "POST";
  url: URL;
  headers?: Readonly<Record<string, string>>;
  /** A form, or JSON. */
  form?: Readonly<Record<string, string>>;
  json?: unknown;
  /** As it stands, with its type among the headers. */
  body?: string;
}

export type ExchangeContext = Pick<Context, "ports" | "env" | "signal" | "now">;

/** Far more than an answer with a token has. Bytes. */
const maxAnswer = 256 * 1024;

/**
 * Asks a service that gives tokens, and reads its answer as text. Nothing of the answer is printed where it is good, and
 * no redirect is followed to another host.
 * @throws UserError `identity-refused` where it answers with a status of 400 or more; the transport's errors
 */
export async function askService(service: Service, context: ExchangeContext): Promise<string> {
  const { ports, env, signal } = context;
  const transport = createTransport({ ports, env, signal });
  try {
    const body = renderBody(service);
    const response = await transport.send({
      method: service.method ?? "POST",
      url: service.url,
      headers: { accept: "application/json", ...body.headers, ...service.headers },
      ...(body.text === undefined ? {} : { body: new TextEncoder().encode(body.text) }),
      staysOnHost: true,
      readUpTo: maxAnswer,
    });
    const text = new TextDecoder().decode(response.bytes);
    if (response.status !== 200) throw refused(service, response, text);
    return text;
  } finally {
    await transport.close();
  }
}

/** @throws UserError `identity-refused` where it is not what the service's documentation says */
export function readAnswer<T extends z.ZodType>(text: string, schema: T, { name, url }: Service): z.output<T> {
  const read = readAnswerAs(text, schema);
  if ("value" in read) return read.value;
  throw new UserError(`${name} at ${url.host} answers something else than documented (${read.wrong})`, {
    code: "identity-refused",
  });
}

function renderBody({ form, json, body }: Service): { headers: Record<string, string>; text?: string } {
  if (form !== undefined)
    return {
      headers: { "content-type": "application/x-www-form-urlencoded" },
      text: new URLSearchParams(form).toString(),
    };
  if (json !== undefined) return { headers: { "content-type": "application/json" }, text: JSON.stringify(json) };
  return body === undefined ? { headers: {} } : { headers: {}, text: body };
}

function refused({ name, url }: Service, { status }: TransportResponse, text: string): UserError {
  const said = cleanLine(hideTokens(text)).slice(0, 300);
  return new UserError(
    `${name} at ${url.host} gives no login: it answers ${status}${said === "" ? "" : ` (${said})`}`,
    {
      code: "identity-refused",
      wayOut:
        "Look at the trust that is set up there: its conditions have to let this workflow in, by the owner's ID and job_workflow_ref at a commit.",
    },
  );
}

const idTokenSchema = z.object({ value: z.string().min(1) });

/**
 * A token of GitHub's that says who this job is, for one audience. It lives for minutes, and is masked.
 * @throws UserError `identity-missing` where the job may not ask for one
 */
export async function requestIdToken(audience: string, context: ExchangeContext): Promise<string> {
  const { ACTIONS_ID_TOKEN_REQUEST_URL: base, ACTIONS_ID_TOKEN_REQUEST_TOKEN: token } = context.env;
  if (!base || !token) {
    throw new UserError("this job can't prove who it is: it has no right to ask for an identity token", {
      code: "identity-missing",
      wayOut: "Give the job `permissions: id-token: write`, or log in another way and leave registry-identities out.",
    });
  }
  context.ports.mask(token);
  const url = new URL(base);
  url.searchParams.set("audience", audience);
  const service: Service = {
    name: "GitHub's token service",
    method: "GET",
    url,
    headers: { authorization: `Bearer ${token}`, "user-agent": "actions/oidc-client" },
  };
  const { value } = readAnswer(await askService(service, context), idTokenSchema, service);
  context.ports.mask(value);
  return value;
}
