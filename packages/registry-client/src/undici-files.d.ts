// What undici's files export, which have no types of their own: the classes and functions of its entry.
declare module "undici/lib/api/api-connect.js" {
  const connect: (...given: never[]) => unknown;
  export = connect;
}
declare module "undici/lib/api/api-request.js" {
  const request: (...given: never[]) => unknown;
  export = request;
}
declare module "undici/lib/dispatcher/agent.js" {
  import { Agent } from "undici";
  export = Agent;
}
declare module "undici/lib/dispatcher/dispatcher.js" {
  import { Dispatcher } from "undici";
  export = Dispatcher;
}
declare module "undici/lib/dispatcher/env-http-proxy-agent.js" {
  import { EnvHttpProxyAgent } from "undici";
  export = EnvHttpProxyAgent;
}
