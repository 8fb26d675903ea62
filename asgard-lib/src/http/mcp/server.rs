//! The protocol's side of the tools.

use super::{
    aside::Aside,
    tools::{self, Tools},
};
use crate::{
    error::{Error, Kind},
    http::{Arrival, Caller, HttpState, problem},
    kernel::{BasePath, TraceId},
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest, CustomResult, ErrorCode,
        Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What an agent reads first.
const INSTRUCTIONS: &str = "Asgard provisions resources for projects, under policy and with an audit trail. \
    The main path: list_services and get_service show what there is and which inputs it takes; request_resource asks for it \
    and answers at once with a request; poll get_request with wait_s (up to 50) until its status is fulfilled, rejected, \
    cancelled, failed or needs_attention. A request may wait for a person's approval; tell the person who works with you. \
    Once it is fulfilled get_resource shows the outputs, and get_secret reads secret values by the names in the resource. \
    The same service and name again updates a resource in place. A project key acts on its own project, so project_id may \
    be left out; with a user token name the project. Errors say what is wrong, which field, and what to do.";

/// Answers MCP requests. Requests share one.
pub(super) struct McpServer {
    state: Arc<HttpState>,
    tools: Tools,
    info: ServerConfig,
}

impl McpServer {
    /// A server of these tools.
    pub(crate) fn new(state: Arc<HttpState>, tools: Tools) -> Self {
        let name = Implementation::new("asgard", env!("CARGO_PKG_VERSION")).with_title("Asgard");
        let info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(name)
            .with_instructions(INSTRUCTIONS);
        Self { state, tools, info }
    }
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        self.info.clone()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.described(name).cloned()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.is_some_and(|request| request.cursor.is_some()) {
            return Err(ErrorData::invalid_params("There is no such cursor; the list has one page.", None));
        }
        Ok(ListToolsResult::with_all_items(self.tools.listed().to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(entry) = self.tools.entry(&request.name) else {
            let name: String = request.name.chars().take(80).collect();
            return Err(ErrorData::invalid_params(format!("Unknown tool: {name}. tools/list shows the tools."), None));
        };
        let known = context.extensions.get::<http::request::Parts>();
        let known = known.map(|parts| &parts.extensions);
        let known =
            known.and_then(|known| Some((known.get::<Arrival>()?, known.get::<Caller>()?, known.get::<Aside>()?)));
        let Some((arrival, caller, aside)) = known else {
            return Err(ErrorData::internal_error("The request lost its caller.", None));
        };
        let mut arguments = aside.arguments();
        let mut call = self.state.call(arrival, Some(caller));
        let answer = match tools::idempotency_key(entry, &mut arguments) {
            Ok(key) => {
                call.idempotency_key = key;
                self.state.perform(entry, &call, Value::Object(arguments)).await
            }
            Err(error) => Err(error),
        };
        let result = match answer {
            Ok(answer) => CallToolResult::structured(answer.value),
            Err(error) => {
                problem::log(&error, &arrival.trace);
                failed(&error, &arrival.trace, self.state.base())
            }
        };
        Ok(aside.keep(result).into())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method: String = request.method.chars().take(80).collect();
        // A method that the protocol knows ends up here only when its parameters do not fit.
        if matches!(method.as_str(), "initialize" | "tools/call" | "tools/list" | "server/discover" | "ping") {
            return Err(ErrorData::invalid_params(format!("The params do not fit {method}."), None));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("Unknown method: {method}."), None))
    }
}

/// A failed operation, as text for the agent. There is no structured content: clients check that against the tool's output
/// schema, also of failures, and would show a schema error instead of this one.
fn failed(error: &Error, trace: &TraceId, base: &BasePath) -> CallToolResult {
    let mut map = Map::new();
    map.insert("code".into(), error.code().slug().into());
    map.insert("message".into(), error.message().into());
    if let Some(field) = error.field() {
        map.insert("field".into(), field.into());
    }
    map.insert("what_to_do".into(), what_to_do(error.kind()).into());
    if let Some(secs) = error.retry_after_secs() {
        map.insert("retry_after".into(), secs.into());
    }
    map.insert("docs".into(), problem::page(error.code(), base).into());
    map.insert("trace_id".into(), trace.as_str().into());
    CallToolResult::error(vec![ContentBlock::text(Value::Object(map).to_string())])
}

const fn what_to_do(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "Correct the arguments and call again; calling again unchanged fails again.",
        Kind::Unauthenticated => "Use a credential that works here.",
        Kind::Denied => "Do not try again; ask somebody who may do this.",
        Kind::NotFound => "Check the id or name; the list tools show what there is.",
        Kind::Conflict => "Read its present state, then decide again.",
        Kind::Limit => "Wait as long as it says, or ask for a higher limit.",
        Kind::Upstream | Kind::Unavailable => "Try again in a moment.",
        Kind::Bug => "Report it to whoever runs this Asgard, with the trace id.",
    }
}
