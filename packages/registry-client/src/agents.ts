import type * as undici from "undici";
import connect from "undici/lib/api/api-connect.js";
import request from "undici/lib/api/api-request.js";
import AgentFile from "undici/lib/dispatcher/agent.js";
import DispatcherFile from "undici/lib/dispatcher/dispatcher.js";
import EnvHttpProxyAgentFile from "undici/lib/dispatcher/env-http-proxy-agent.js";

// undici's entry loads its fetch, WebSocket, caches and mocks besides, which cost every start of a short run more than
// the requests that it makes. These are the same classes, out of the same files.
export const Agent: typeof undici.Agent = AgentFile;
export const Dispatcher: typeof undici.Dispatcher = DispatcherFile;
export const EnvHttpProxyAgent: typeof undici.EnvHttpProxyAgent = EnvHttpProxyAgentFile;

// As the entry does: a tunnel through a proxy is asked for by `connect`.
Object.assign(DispatcherFile.prototype, { connect, request });
