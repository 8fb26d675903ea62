// The main job as the official MCP client does it: initialize, tools/list, request, approval, secret, removal.
//
//   node run.mjs URL KEY MANAGER_TOKEN
//
// ASGARD_TEST_NODE_DIR is the folder whose node_modules holds the client. Prints one JSON object; exits with 1 and a reason
// when something is not as it should be.
import { createRequire } from "node:module";
import { join } from "node:path";
import assert from "node:assert/strict";

const require = createRequire(join(process.env.ASGARD_TEST_NODE_DIR, "package.json"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const [url, key, managerToken] = process.argv.slice(2);

async function connect(credential) {
  const client = new Client({ name: "asgard-tests", version: "1.0.0" });
  const headers = { authorization: `Bearer ${credential}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return client;
}

// The client itself holds structured content against the output schema that tools/list gave.
async function call(client, name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  assert.ok(!result.isError, `${name}: ${JSON.stringify(result.content)}`);
  assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent, `${name}: text and structure differ`);
  return result.structuredContent;
}

async function settled(client, id) {
  for (let tries = 0; tries < 20; tries += 1) {
    const request = await call(client, "get_request", { request_id: id, wait_s: 5 });
    if (!["planning", "approved", "running"].includes(request.status)) return request;
  }
  throw new Error(`request ${id} is not settled`);
}

const agent = await connect(key);
assert.equal(agent.getServerVersion().name, "asgard");
assert.ok(agent.getServerCapabilities().tools);
await agent.ping();

const tools = [];
for (let cursor; ; ) {
  const page = await agent.listTools(cursor ? { cursor } : {});
  tools.push(...page.tools);
  cursor = page.nextCursor;
  if (!cursor) break;
}
for (const tool of tools) {
  assert.match(tool.name, /^[a-z_]{3,64}$/);
  for (const part of [tool.title, tool.description, tool.inputSchema, tool.outputSchema, tool.annotations]) {
    assert.ok(part, `${tool.name} is not described in full`);
  }
  assert.equal(typeof tool.annotations.readOnlyHint, "boolean", tool.name);
}

const services = (await call(agent, "list_services")).items.map((service) => service.id);
assert.ok(services.includes("local-demo"), services.join());
await call(agent, "get_service", { service: "local-demo" });
const project = (await call(agent, "project_state")).project.project_id;

const asked = await call(agent, "request_resource", {
  service: "local-demo",
  name: "from-the-sdk",
  spec: { approval: "human", monthly_usd: 3 },
});
const pending = await settled(agent, asked.request.request_id);
assert.equal(pending.status, "pending");
assert.equal(pending.plan.create, 6);

const own = await agent.callTool({ name: "approve_request", arguments: { request_id: pending.request_id } });
assert.ok(own.isError, "a key approved its own request");

const manager = await connect(managerToken);
const inbox = await call(manager, "list_pending_approvals");
assert.ok(inbox.items.some((request) => request.request_id === pending.request_id));
await call(manager, "approve_request", { request_id: pending.request_id, note: "seen" });

const fulfilled = await settled(agent, pending.request_id);
assert.equal(fulfilled.status, "fulfilled", JSON.stringify(fulfilled));
const resource = await call(agent, "get_resource", { resource_id: fulfilled.resource_id });
const secret = await call(agent, "get_secret", { name: resource.secret_refs.token.name });
assert.match(secret.value, /^[0-9a-f]{64}$/);

const removal = await call(agent, "deprovision_resource", { resource_id: fulfilled.resource_id });
let gone = await settled(agent, removal.request.request_id);
if (gone.status === "pending") {
  await call(manager, "approve_request", { request_id: gone.request_id });
  gone = await settled(agent, gone.request_id);
}
assert.equal(gone.status, "fulfilled", JSON.stringify(gone));

await assert.rejects(agent.callTool({ name: "no_such_tool", arguments: {} }), (error) => error.code === -32602);
await assert.rejects(connect("asg_0000000000000000000000000000000000000000000000"), /401|Unauthorized|HTTP/i);

await agent.close();
await manager.close();
console.log(JSON.stringify({ project, resource: resource.resource_id, tools: tools.map((tool) => tool.name), secret: secret.value }));
